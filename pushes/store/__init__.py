"""What stands in Redis: records, indexes and RQ's jobs, and the one step that changes them."""
