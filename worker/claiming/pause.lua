-- Hand out no slot of an account's schedule until a pause is over.
-- KEYS[1]: the schedule. ARGV: the pause in s, ttl, the time or ''.
local now = time_of(tonumber(ARGV[3]))
local next_at = tonumber(redis.call('HGET', KEYS[1], 'next_at') or '') or 0
redis.call('HSET', KEYS[1], 'next_at', string.format('%.6f', math.max(next_at, now + ARGV[1])))
redis.call('EXPIRE', KEYS[1], ARGV[2])
