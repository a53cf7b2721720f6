"""The bare views that intake is held against: one that does nothing, one that calls RQ.

`gunicorn 'devtools.bench.peers.intake_views:bare()'`, and `:enqueue()` likewise. Neither checks,
logs or records anything: what a first draft of an endpoint would be.
"""

import os

from flask import Flask, request
from redis import Redis
from rq import Queue


def bare() -> Flask:
    """Make an application that answers 200 and does nothing."""
    app = Flask(__name__, static_folder=None)

    @app.post("/push")
    def push() -> str:
        return ""

    return app


def enqueue() -> Flask:
    """Make an application that hands each push to RQ with `queue.enqueue`."""
    app = Flask(__name__, static_folder=None)
    queue = Queue("bench", connection=Redis.from_url(os.environ["REDIS_URL"]))

    @app.post("/push")
    def push() -> str:
        queue.enqueue("devtools.bench.peers.rq_jobs.acknowledge", request.args["klarna_order_id"])
        return ""

    return app
