"""One attempt, from its start until it is settled."""
