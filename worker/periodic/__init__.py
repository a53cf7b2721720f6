"""What every worker does besides attempts, again and again."""
