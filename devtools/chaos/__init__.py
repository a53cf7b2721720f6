"""The promise under fire: whole processes, hundreds of orders, and everything killed that can be.

    python -m devtools.chaos            all trials, ten minutes; writes docs/reports/chaos.md

One trial is one sort of trouble, from an empty Redis to the last dead letter replayed:
1. `testbed` starts Redis, the sandbox and the `fleet`: the processes of the Procfile.
2. `orders` are made up from the seed: mostly good ones, and some of each kind that must not pass.
3. The `sender` pushes each until it is answered 200 and never again, so that nothing re-sent hides
   a loss. A tenth are left to the sandbox, which pushes them on a schedule like Klarna's.
4. The trial in `trials` makes its trouble, by a `plan` made from the seed.
5. When all is quiet, `audit` looks at what the sender and the sandbox have logged, and at what is
   left in Redis; then an operator replays the dead letters, and it looks again.

The program is a black box: processes, HTTP and Redis. Of its code only `pushes` is used, to read
the ledger. The seed fixes the plan, not the timing.
"""
