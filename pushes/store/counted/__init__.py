"""What is counted in Redis over all processes."""
