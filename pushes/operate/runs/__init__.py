"""Bulk runs: doing one thing to many dead letters, in the background, once to each."""
