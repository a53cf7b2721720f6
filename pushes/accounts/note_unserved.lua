-- Note the accounts with orders that no live worker serves.
-- KEYS[1]: the accounts with work, scored by when to look at them. KEYS[2]: the accounts with held
-- orders. KEYS[3]: the groups that are served, scored by until when. KEYS[4]: the accounts that wait
-- for a worker. KEYS[5]: the accounts that got work since a worker looked. ARGV[1]: what our keys begin with. ARGV[2]: the lanes, with commas.
-- ARGV[3]: the time, or ''. Returns the accounts that are newly among them.
local now = time_of(ARGV[3])
local groups = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. epoch(now), '+inf')

local function is_served(name)
  for _, group in ipairs(groups) do
    if redis.call('HEXISTS', group, name) == 1 then return true end
  end
  return false
end

local function has_work(name)
  for lane in string.gmatch(ARGV[2], '[^,]+') do
    if redis.call('EXISTS', ARGV[1] .. ':ready:' .. name .. ':' .. lane) == 1 then return true end
  end
  return redis.call('EXISTS', ARGV[1] .. ':held:' .. name) == 1
end

for _, name in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  if not has_work(name) then redis.call('ZREM', KEYS[4], name) end
end
local new = {}
local function look(names)
  for _, name in ipairs(names) do
    if not is_served(name) and has_work(name) then
      redis.call('ZREM', KEYS[1], name)
      redis.call('SREM', KEYS[5], name)
      if redis.call('ZADD', KEYS[4], 'NX', epoch(now), name) == 1 then table.insert(new, name) end
    end
  end
end
-- An account that is served is looked at as soon as its time has come.
look(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', epoch(now)))
look(redis.call('SMEMBERS', KEYS[2]))
look(redis.call('SMEMBERS', KEYS[5]))
return new
