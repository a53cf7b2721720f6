"""A stand-in for Klarna's Order Management that can be told to fail. Never imports the program.

Klarna's side is `api` (what it answers) over `orders`, `idempotency`, `limits` and `faults`; it
also pushes (`schedule`, `sender`) on Klarna's schedule. The control side, under `/_control`,
creates orders, injects faults, moves the clock and shows what really happened. `README.md` lists
the calls. Start it with `python -m sandbox`.
"""
