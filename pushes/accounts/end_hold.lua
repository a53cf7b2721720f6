-- Serve a held account again.
-- KEYS[1]: the hold. KEYS[2]: the failures in a row. KEYS[3]: the schedule of calls.
-- ARGV[1]: the reasons that may be ended. ARGV[2]: the time, for work to be resumed in steps after
-- an outage. ARGV[3]: how long that is remembered, in s.
-- Returns the fields of the hold; false when nothing was ended.
local reason = redis.call('HGET', KEYS[1], 'reason')
if not reason or not string.find(ARGV[1], reason, 1, true) then return false end
local held = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
if reason == 'outage' then
  redis.call('HSET', KEYS[3], 'resumed_at', ARGV[2])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return held
