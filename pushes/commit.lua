-- Run commands only while the record is at the revision that the caller saw.
-- KEYS[1]: the record. ARGV[1]: the revision seen, '' for no record.
-- ARGV[2..]: the commands, each preceded by the number of its words.
-- Returns nil when done; else the record as it is now, so that the caller can decide again.
if (redis.call('HGET', KEYS[1], 'rev') or '') ~= ARGV[1] then
  return redis.call('HGETALL', KEYS[1])
end
local i = 2
while i <= #ARGV do
  local words = tonumber(ARGV[i])
  redis.call(unpack(ARGV, i + 1, i + words))
  i = i + words + 1
end
return nil
