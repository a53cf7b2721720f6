"""The same two calls to Klarna as a job of each peer. A module has `send`, which queues one order.

They run in an environment of their own (`environment`), except `ours`, which runs in the program's.
Each keeps its system's defaults, except where those could lose a job that a worker had taken: we do
not. `feed` fills a peer's queue; `intake_views` are the bare views that intake is held against.
"""
