"""Klarna's pushes: when an order is pushed, and the sender that does it."""
