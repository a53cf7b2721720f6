"""A Klarna that costs next to nothing, in a process of its own; its counter is the one believed."""
