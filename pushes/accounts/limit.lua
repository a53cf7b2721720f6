-- Note that an order was answered 429, and pause its account.
-- The pause is short while no other order was answered so since the last sensible answer: it may be
-- this order alone. It is as long as Klarna asks for once a second one was.
-- KEYS[1]: the orders answered 429 since the last sensible answer. KEYS[2]: the pauses of all
-- accounts. KEYS[3]: the schedule of calls. KEYS[4]: what happened to all pushes, see `totals.py`.
-- ARGV[1]: the account. ARGV[2]: the order. ARGV[3]: how long Klarna asks for, in s. ARGV[4]: how
-- long a short pause is, in s. ARGV[5]: the cause. ARGV[6]: how long to remember it all, in s.
-- ARGV[7]: the time, or ''. Returns whether it is this order alone, and new: 1 or 0.
local now = time_of(ARGV[7])
local is_new = redis.call('SADD', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[6])
local is_alone = redis.call('SCARD', KEYS[1]) == 1
local pause_s = tonumber(ARGV[3])
if is_alone then pause_s = math.min(pause_s, tonumber(ARGV[4])) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], 'GT', epoch(now + pause_s), ARGV[1])
redis.call('HSET', KEYS[3], 'pause_cause', ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[6])
redis.pcall('HINCRBY', KEYS[4], is_alone and 'pauses:order' or 'pauses:account', 1)
return is_alone and is_new or 0
