-- Take a lock, or keep it for longer.
-- KEYS[1]: the lock. ARGV[1]: who takes it. ARGV[2]: for how many seconds.
-- Returns whether it is theirs: 1 or 0.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
