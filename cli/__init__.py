"""`klarna-ack`: the operator's and developer's terminal. It may use everything; nothing uses it."""
