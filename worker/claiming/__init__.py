"""Which push comes next, within its account's quota."""
