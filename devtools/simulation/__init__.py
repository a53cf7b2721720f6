"""Days in minutes: the program's own code on a virtual clock, against a model of Klarna.

    python -m devtools.simulation            all scenarios; writes docs/reports/simulation.md

What `chaos` cannot wait for is played here: outages of hours, floods, whole weeks.
1. `testbed` starts an empty Redis, the model of `klarna` and two workers, all on one `clock`.
2. A scenario in `scenarios` lets `traffic` push orders, and Klarna's faults come and go.
3. The worker's code runs unmodified in threads that take turns; while all of them wait, time
   jumps. What one seed played, it plays again.
4. When all is quiet, `audit` looks at every order, and the scenario's goals are judged. A run
   that is too small for a goal says so instead.

`program` alone knows how the program is put together; whoever changes the worker's parts changes
that module and no other here. Redis is real, so what it lets expire expires by real time.
"""
