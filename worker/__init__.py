"""The RQ side: verify the order at Klarna, then acknowledge it. No Flask.

`runner` takes jobs and runs many attempts at a time; RQ runs `jobs.acknowledge_push` for each.
`acknowledge` makes the two calls, `verify` and `failures` judge what came back, `outcomes` turn
the judgement into the next step of the push's life. `scheduler` and `recovery` put back what has
waited long enough and what a dead worker left behind.
"""
