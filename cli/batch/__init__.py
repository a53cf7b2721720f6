"""Doing one thing to many orders, and telling what came of it."""
