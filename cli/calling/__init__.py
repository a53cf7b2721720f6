"""Calling Klarna from the terminal: an account's credentials, and what is told of a failure."""
