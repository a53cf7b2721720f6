"""What it costs to have many accounts, and many orders waiting.

redis_time  how long Redis is held by what somebody does
filling     orders in the states that cost most
costs       what a worker, a scrape and an operator's page cost Redis, in this process
worker      how one worker process starts, idles and acknowledges
report      the table and the goals
"""
