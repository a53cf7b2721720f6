-- Write which accounts a group serves, whole or not at all.
-- KEYS[1]: the group's shares of the quota, by account. ARGV[1]: account, share, account, … as a
-- JSON list. ARGV[2]: for how long, in s.
local words = cjson.decode(ARGV[1])
redis.call('DEL', KEYS[1])
for first = 1, #words, 1000 do
  redis.call('HSET', KEYS[1], unpack(words, first, math.min(first + 999, #words)))
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
