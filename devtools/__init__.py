"""Tools for developing klarna-ack. Not shipped."""
