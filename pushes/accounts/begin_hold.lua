-- Hold an account when nothing holds it yet. An operator's word overrules any hold, and refused
-- credentials overrule an outage: only a person can end that.
-- KEYS[1]: the hold. KEYS[2]: the failures in a row. KEYS[3]: the accounts that are held.
-- KEYS[4]: the accounts to look at. KEYS[5]: what happened to all pushes, see `totals.py`.
-- ARGV[1]: the account. ARGV[2]: the reason. ARGV[3]: the cause. ARGV[4]: who, or ''.
-- ARGV[5], ARGV[6]: the first and the longest pause between probes in s, '' for no probes.
-- ARGV[7]: the time, or ''. Returns whether it was begun: 1 or 0.
local now = time_of(ARGV[7])
local present = redis.call('HGET', KEYS[1], 'reason')
local overrules = ARGV[2] == 'operator' or ARGV[2] == 'credentials' and present == 'outage'
if present and not overrules then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'reason', ARGV[2], 'cause', ARGV[3], 'since', epoch(now))
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'by', ARGV[4]) end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'probe_first_s', ARGV[5], 'probe_longest_s', ARGV[6],
    'probe_at', epoch(now + ARGV[5]), 'probes', '0')
end
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
redis.pcall('HINCRBY', KEYS[5], 'holds:' .. ARGV[2], 1)
return 1
