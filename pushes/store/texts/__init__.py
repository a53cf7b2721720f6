"""The texts by which orders are found besides their ids, and where they stand."""
