"""The merchant accounts: what holds them, and who pushes for them."""
