"""Klarna's side: the calls of Order Management, the states of an order, the request log."""
