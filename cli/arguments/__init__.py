"""What an operator gives a command: options, times, order ids."""
