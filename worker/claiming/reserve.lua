-- Reserve the next slots of one account's schedule, however far away they are up to a limit.
-- KEYS[1]: the schedule. KEYS[2]: the pauses of all accounts.
-- ARGV: the account, how many, interval, burst and limit in s, ttl, the time or ''.
-- Returns how long to wait for each, in s; negative: so far away that it was not reserved.
local now = time_of(ARGV[7])
local interval_s = interval_of(KEYS[1], tonumber(ARGV[3]), now)
local longest_s = tonumber(ARGV[5])
local paused_s = pause_of(KEYS[2], ARGV[1], now)
local waits = {}
for number = 1, tonumber(ARGV[2]) do
  local wait_s, more_s = reserve(KEYS[1], 'next_at', now, interval_s, tonumber(ARGV[4]), longest_s,
    paused_s)
  waits[number] = tostring(wait_s or -(more_s + longest_s))
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return waits
