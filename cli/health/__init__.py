"""How everything is at this moment: `klarna-ack status` and `klarna-ack workers`."""
