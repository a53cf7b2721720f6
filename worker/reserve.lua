-- Reserve the next slot for one call of an account, however far away it is; or, with a pause, none
-- until the pause is over. ARGV[1]: JSON {account, now, pause_s}. Returns the wait in seconds.
local ask = cjson.decode(ARGV[1])
local now = time_of(ask.now)
local quota = KEYS[1]
local wait_s = 0
if type(ask.pause_s) == 'number' then
  local next_at = tonumber(redis.call('HGET', quota, 'next_at') or '') or 0
  wait_s = math.max(next_at - now, ask.pause_s)
  redis.call('HSET', quota, 'next_at', string.format('%.6f', now + wait_s))
else
  local more_s
  wait_s, more_s = reserve(quota, 'next_at', now, interval_of(quota, ask.account, now),
    ask.account.burst_s, ask.longest_s)
  if not wait_s then return tostring(-(more_s + ask.longest_s)) end
end
redis.call('EXPIRE', quota, ask.quota_ttl_s)
return tostring(wait_s)
