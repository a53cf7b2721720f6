-- Serve an account again that is held or, at an operator's word, paused.
-- KEYS[1]: the hold. KEYS[2]: the failures in a row. KEYS[3]: the accounts that are held.
-- KEYS[4]: the accounts to look at. KEYS[5]: the schedule of calls. KEYS[6]: the pauses of all
-- accounts. KEYS[7]: who resumed it last.
-- ARGV[1]: the account. ARGV[2]: the reasons that may be ended. ARGV[3]: whether to end a pause: 1
-- or 0. ARGV[4]: how long to remember, in s, that work resumes in steps. ARGV[5]: the operator who
-- ends it and ARGV[6] why, both '' for nobody. ARGV[7]: how long to remember, in s, who did.
-- ARGV[8]: the time, or ''.
-- Returns the fields of the hold that was ended, none when there was none; then, when a pause was
-- ended, its end and its cause.
local now = time_of(ARGV[8])
local held, pause = {}, {}
local reason = redis.call('HGET', KEYS[1], 'reason')
if not reason then redis.call('SREM', KEYS[3], ARGV[1]) end
if reason and string.find(ARGV[2], reason, 1, true) then
  held = redis.call('HGETALL', KEYS[1])
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('SREM', KEYS[3], ARGV[1])
  redis.call('DEL', KEYS[7])
  if ARGV[5] ~= '' then
    redis.call('HSET', KEYS[7], 'by', ARGV[5], 'why', ARGV[6])
    redis.call('EXPIRE', KEYS[7], ARGV[7])
  end
  if reason == 'outage' or reason == 'merchant' then
    redis.call('HSET', KEYS[5], 'resumed_at', epoch(now))
    redis.call('EXPIRE', KEYS[5], ARGV[4])
  end
end
if ARGV[3] == '1' then
  local paused_until = redis.call('ZSCORE', KEYS[6], ARGV[1])
  redis.call('ZREM', KEYS[6], ARGV[1])
  if paused_until and tonumber(paused_until) > now then
    pause = {paused_until, redis.call('HGET', KEYS[5], 'pause_cause') or ''}
  end
end
redis.call('SADD', KEYS[4], ARGV[1])
return {held, pause}
