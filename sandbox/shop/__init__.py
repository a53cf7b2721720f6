"""A shop's side to try a hand-over with: a receiver of signed orders, and a double of a plugin."""
