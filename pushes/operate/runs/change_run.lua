-- Change a bulk run while it is in one of some states.
-- KEYS[1]: the run. KEYS[2]: the set of runs that are not over. ARGV[1]: its id. ARGV[2]: the states
-- in which it may be, a comma before and behind each. ARGV[3]: the state it gets. ARGV[4]: whether
-- it is over then: 1 or 0. ARGV[5]: the time, epoch seconds. ARGV[6]: for how long it is kept then.
-- Returns the state in which it was, or false when there is no such run.
local state = redis.call('HGET', KEYS[1], 'state')
if not state or not string.find(ARGV[2], ',' .. state .. ',', 1, true) then return state end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'ended_at', ARGV[5])
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  redis.call('SREM', KEYS[2], ARGV[1])
end
return state
