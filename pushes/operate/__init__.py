"""What an operator does; each act says who did it and why."""
