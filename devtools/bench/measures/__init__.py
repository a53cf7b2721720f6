"""What is measured; each module notes its figures of one round.

throughput   acknowledgements a second, CPU and memory: workers over a full queue
quota        how much of Klarna's quota one worker uses when calls are slow
intake       requests a second and their latency: web processes under one gunicorn
waiting      how long an order waits for its acknowledge at a steady rate
"""
