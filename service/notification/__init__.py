"""Fraud notifications in: checked, and answered once they are durable."""
