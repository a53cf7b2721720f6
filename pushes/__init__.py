"""What both processes agree on: the push, its states, its queue. No Flask, no HTTP.

The life of a push
1. Klarna pushes an order id. `ledger.accept` writes the record, its timeline and its RQ job in one
   step; only then does the web process answer 200. State `queued`.
2. The same order pushed again is counted in the same record; no second job is made.
3. A worker takes the job and begins an attempt under a lease. State `running`.
4. The attempt GETs the order, which proves that the push is authentic, then acknowledges it.
   State `acknowledged`, or `not_needed` when the order turns out to be closed.
5. What fails for a while gets a time for the next attempt (`retrying`); when that has come, or
   Klarna pushes again, it is `queued` again. When the trouble is the account's, all its orders
   wait with it (`held`), and none spends an attempt.
6. What fails for good is `dead`, with a reason and a next step, until an operator replays or
   discards it, or until Klarna pushes it again.
7. A worker that dies loses its lease; the push is `queued` again, and `dead` after three times.

`life` holds these steps as pure functions, `ledger` commits them, `placement` moves the RQ job
along so that RQ's own tools show the same numbers.
"""
