"""Pushes in: whom we believe, how much we take, and the answer once it is durable."""
