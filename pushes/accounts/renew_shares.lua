-- Keep a group of accounts served, and take up those of them that waited for it.
-- KEYS[1]: the group's shares of the quota, by account. KEYS[2]: the groups that are served, scored
-- by until when. KEYS[3]: the accounts that wait for a worker. KEYS[4]: the accounts to look at.
-- ARGV[1]: for how long, in s. ARGV[2]: the time, or ''.
-- Returns the accounts that were taken up; false when Redis does not know the group.
local now = time_of(ARGV[2])
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 0 then return false end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', epoch(now))
redis.call('ZADD', KEYS[2], epoch(now + ARGV[1]), KEYS[1])
local taken_up = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if redis.call('HEXISTS', KEYS[1], name) == 1 then
    redis.call('ZREM', KEYS[3], name)
    redis.call('SADD', KEYS[4], name)
    table.insert(taken_up, name)
  end
end
return taken_up
