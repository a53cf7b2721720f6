"""Handing a verified order over to the merchant's own system, before it is acknowledged."""
