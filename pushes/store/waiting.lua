-- Where jobs wait that no worker has taken. The first ones stand in RQ's list, which wakes workers
-- and is what `rq info` counts. The others stand in RQ's registry of deferred jobs: which job is
-- next is not for the list to say, and taking one out of its middle costs as much as it is long.
-- Put in front of each script that moves jobs.
local LISTED = 1000

-- Returns nothing. `created_at` is what RQ scores deferred jobs by; `job` is the job's hash.
local function join_queue(list, deferred, job, id, created_at)
  if redis.call('LLEN', list) < LISTED then
    redis.call('RPUSH', list, id)
  else
    redis.call('ZADD', deferred, created_at, id)
    redis.call('HSET', job, 'status', 'deferred')
  end
end

-- Returns whether it waited: 1 or 0.
local function leave_queue(list, deferred, id)
  if redis.call('ZREM', deferred, id) == 1 then return 1 end
  return redis.call('LREM', list, 1, id)
end

-- Move jobs into the list as it gets room, at most so many. A job whose hash is gone is moved, too:
-- whoever takes it makes it anew.
local function fill_list(list, deferred, job_prefix, at_most)
  local room = math.min(LISTED - redis.call('LLEN', list), at_most)
  if room <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGE', deferred, 0, room - 1)) do
    redis.call('ZREM', deferred, id)
    redis.call('RPUSH', list, id)
    local job = job_prefix .. id
    if redis.call('EXISTS', job) == 1 then redis.call('HSET', job, 'status', 'queued') end
  end
end
