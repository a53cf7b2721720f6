"""Whether anything grows: half an hour of steady load and trouble, by the chaos suite's own parts.

    python -m devtools.soak             30 minutes; `make soak` writes docs/reports/soak.md, too

1. `running` starts a chaos testbed whose processes keep settled orders for minutes, by
   `short_retention`, so that pruning is at work.
2. By the `timetable`, orders are pushed at a steady rate and now and then in a flood; processes and
   Redis are killed, Klarna fails, an operator replays the dead letters and discards what dies anew.
   The first web process and the first worker are never killed: they are what is measured.
3. `samples` are taken every few seconds: memory, file descriptors, threads, log, Redis's keys.
4. When the load is over the `promise` is checked; then all waits until what is settled has expired.
5. `report` holds the last third of the load against the one before it.
"""
