"""A stand-in for Klarna's Order Management that can be told to fail. Never imports the program.

`serving` reads requests off sockets and sends answers. `api` is Klarna's side: the calls of Order
Management and the states of an order. `faults` spoil its answers. `pushing` pushes orders on
Klarna's schedule. `shop` is what a shop has: a receiver and a plugin's double. `control` steers all
of it, under `/_control`: it creates orders, injects faults, moves the clock and shows what really
happened. Start it with `python -m sandbox`.
"""
