"""Side-by-side measurements: we and our peers, in one run, on one Redis and one fake Klarna.

    __main__      `python -m devtools.bench`: measure, print, write docs/reports/performance.md
    plan          how long and how often to measure
    throughput    acknowledgements a second, CPU and memory: workers over a full queue
    intake        requests a second and their latency: web processes under one gunicorn
    waiting       how long an order waits for its acknowledge at a steady rate
    workers       the worker systems, and how each is started
    peers/        the same two calls as a job of RQ, Dramatiq, Celery and taskiq
    feed          fills a system's queue, all at once or at a steady rate
    intake_peers  the bare views that intake is held against
    load          the HTTP load generator
    stage         the Redis, the fake Klarna and the processes of a measurement
    fake_klarna   a Klarna that costs next to nothing; its counter is the one believed
    measure       CPU and memory of process trees
    environment   the peers' own virtual environment, from requirements.lock
    figures, goals, report    medians, ratios, verdicts, Markdown (pure)

Nothing here is shipped or imported by the program. Needs Linux: it reads /proc.
"""
