"""What we ask of the Redis server: to keep what it is given, on replicas too, and to let us."""
