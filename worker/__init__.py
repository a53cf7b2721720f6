"""The RQ side: verify the order at Klarna, then acknowledge it. No Flask.

The way of a push through here:
1. `claiming` claims jobs, within each account's quota and by deadline.
2. `attempt.start` begins an attempt; `attempt.acknowledge` makes the calls; `attempt.verify` and
   `attempt.failures` judge what came back, as one of the `attempt.outcomes`.
3. `attempt.settle` has `attempt.account_health` judge what the outcomes say of their account,
   then commits them.

`wiring` puts the parts together, `runner` holds the threads, `periodic` has what is done besides.
"""
