"""Side-by-side measurements: we and our peers, in one run, on one Redis and one fake Klarna.

    __main__      `python -m devtools.bench`: measure, print, write docs/reports/performance.md
    plan          how long and how often to measure
    steps         the measurements of a round, in order
    measures/     what is measured: throughput, quota, intake, waiting
    systems       the worker systems, and how each is started
    peers/        the same two calls as a job of RQ, Dramatiq, Celery and taskiq; bare views
    load          the HTTP load generator
    scale/        what many accounts and many waiting orders cost
    ops/          the console over a full Redis, and intake beside it
    testbed       the Redis, the fake Klarna and the processes of a measurement
    fake_klarna/  a Klarna that costs next to nothing; its counter is the one believed
    process_tree  CPU and memory of process trees
    machine       what a report must say of the machine
    figures, goals, report    ratios, promises, Markdown (pure)

Nothing here is shipped or imported by the program. Needs Linux: it reads /proc.
"""
