-- Run commands only while the record is as the caller saw it: same revision, same attempt.
-- The attempt counts besides the revision, for after a failover two workers may have written the
-- same revision, each with an attempt of its own.
-- KEYS[1]: the record. ARGV[1]: the revision seen, '' for no record, 'unreadable' for one that
-- cannot be read. ARGV[2]: the execution id seen, '' for none; of an unreadable record the SHA-1 of
-- its content. ARGV[3]: the commands, a JSON list of lists of words: one word to parse instead of a
-- hundred; JOIN_QUEUE and LEAVE_QUEUE are those of waiting.lua, COUNT is below. A script is not
-- rolled back, so the record is written by one command near their end: what is half made before
-- leaves the record as it was, and is made again.
-- Returns nil when done; else the record as it is now, so that the caller can decide again.
local function is_of_wrong_type(answer)
  return answer.err and string.find(answer.err, 'WRONGTYPE', 1, true)
end

local function present()
  local record = redis.pcall('HGETALL', KEYS[1])
  return is_of_wrong_type(record) and {'unreadable'} or record
end

local function is_as_seen()
  if ARGV[1] == '' then return redis.call('EXISTS', KEYS[1]) == 0 end
  if ARGV[1] == 'unreadable' then
    return redis.sha1hex(table.concat(present(), '\0')) == ARGV[2]
  end
  local seen = redis.pcall('HMGET', KEYS[1], 'rev', 'execution_id')
  if is_of_wrong_type(seen) then return false end
  if seen.err then redis.call('HMGET', KEYS[1], 'rev') end -- ends the script with that error
  return (seen[1] or '') == ARGV[1] and (seen[2] or '') == ARGV[2]
end

-- Counts fields up. A key of a wrong type there holds up no push: then nothing is counted.
local function count(name, ...)
  local words = {...}
  for at = 1, #words, 2 do redis.pcall('HINCRBY', name, words[at], words[at + 1]) end
end

if not is_as_seen() then return present() end
local acts = {JOIN_QUEUE = join_queue, LEAVE_QUEUE = leave_queue, COUNT = count}
for _, command in ipairs(cjson.decode(ARGV[3])) do
  local act = acts[command[1]]
  if act then
    act(unpack(command, 2))
  else
    redis.call(unpack(command))
  end
end
return nil
