"""What several deployments cost side by side, each with its own Redis and its own accounts.

deployment  one of them: a Redis, a web process, a worker
trial       so many of them under load: pushes, then acknowledgements, then nothing to do
report      the tables, the goals, and the arithmetic for what no machine here could show
"""
