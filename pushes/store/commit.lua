-- Run commands only while the record is as the caller saw it: same revision, same attempt.
-- The attempt counts besides the revision, for after a failover two workers may have written the
-- same revision, each with an attempt of its own.
-- KEYS[1]: the record. ARGV[1]: the revision seen, '' for no record. ARGV[2]: the execution id
-- seen, '' for none. ARGV[3]: the commands, a JSON list of lists of words: one word to parse
-- instead of a hundred; JOIN_QUEUE and LEAVE_QUEUE are those of waiting.lua. A script is not rolled back, so they end with those that write the record:
-- what is half made leaves the record as it was, and is made again.
-- Returns nil when done; else the record as it is now, so that the caller can decide again.
local seen = redis.call('HMGET', KEYS[1], 'rev', 'execution_id')
if (seen[1] or '') ~= ARGV[1] or (seen[2] or '') ~= ARGV[2] then
  return redis.call('HGETALL', KEYS[1])
end
local acts = {JOIN_QUEUE = join_queue, LEAVE_QUEUE = leave_queue}
for _, command in ipairs(cjson.decode(ARGV[3])) do
  local act = acts[command[1]]
  if act then
    act(unpack(command, 2))
  else
    redis.call(unpack(command))
  end
end
return nil
