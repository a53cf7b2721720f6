-- Run commands only while the record is at the revision that the caller saw.
-- KEYS[1]: the record. ARGV[1]: the revision seen, '' for no record.
-- ARGV[2]: the commands, a JSON list of lists of words: one word to parse instead of a hundred.
-- Returns nil when done; else the record as it is now, so that the caller can decide again.
if (redis.call('HGET', KEYS[1], 'rev') or '') ~= ARGV[1] then
  return redis.call('HGETALL', KEYS[1])
end
for _, command in ipairs(cjson.decode(ARGV[2])) do
  redis.call(unpack(command))
end
return nil
