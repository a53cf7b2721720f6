"""The RQ side: verify the order at Klarna, then acknowledge it. No Flask.

The way of a push through here:
1. `taking` takes jobs by `claims`, which knows holds, `quota` and deadlines; `popped` says what a
   job means, and `attempts` begins an attempt.
2. RQ runs `jobs.acknowledge_push` for it: `acknowledge` makes the two calls, `verify` and
   `failures` judge what came back, as one of the `outcomes`.
3. `settling` has `accounts` judge what the outcomes say of their account, and commits them.

`runner` holds the threads together, `periodic tasks` are done beside them: leases and `presence`,
`scheduler`, `backlog`, `recovery`, `resends`, `flood`.
"""
