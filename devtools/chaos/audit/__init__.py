"""Whether a trial kept the promise, judged when all is quiet.

judge        waits until all is quiet, looks, replays the dead letters, looks again
evidence     what was logged: by the sender, by the sandbox, in the ledger
invariants   the promise itself, held against the evidence (pure)
counts       whether ledger, RQ and /metrics count the same, also under load
leftovers    what stays in Redis for ever
recovery     how long it took until interrupted attempts were begun again
"""
