"""Everything on one machine: an embedded Valkey, supervised processes, the demo."""
