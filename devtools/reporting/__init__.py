"""What `chaos`, `bench` and `simulation` share: how they run, judge and report.

numbers    percentiles; the spread of several rounds
markdown   tables, counts and durations as text
goals      what a run must show, and whether it did
run        signals and exit code, progress, what a report says of the machine and the run
"""
