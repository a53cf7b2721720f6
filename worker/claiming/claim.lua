-- Take the jobs that may be attempted now: of the accounts that have waited longest for their turn,
-- of each the most urgent.
-- ARGV[1]: what is always asked for, as JSON (`claims.py` says what each field means). ARGV[2]: how
-- many at most. ARGV[3]: a job to put back in its place, or ''. ARGV[4]: the time, or ''. ARGV[5]: the
-- worker's places, as JSON, or '' when everybody may take all of them (`places.py`).
-- Returns the jobs taken, {kind, id, wait in s, why held, whether it stood in the queue, data, record}
-- each; how long until more can be taken ('' when nothing waits for a time); how many jobs are left
-- in RQ's list, which is empty only when no job waits beyond it either; and the accounts that could
-- not be looked at, {account, error} each. Returns false when Redis does not know which accounts
-- this worker serves.

local ask = cjson.decode(ARGV[1])
local at_most, in_hand = tonumber(ARGV[2]), ARGV[3]
local now = time_of(ARGV[4])
local places = ARGV[5] ~= '' and cjson.decode(ARGV[5]) or nil
local taken, failed, wait_s = {}, {}, ''

if redis.call('EXISTS', ask.shares) == 0 then return false end

local function ready_key(name, lane)
  return ask.prefix .. ':ready:' .. name .. ':' .. lane
end

local function has_ready(name)
  for _, lane in ipairs(ask.lanes) do
    if redis.call('EXISTS', ready_key(name, lane)) == 1 then return true end
  end
  return false
end

local function read_share(name, share)
  if not share then return nil end
  local interval_s, burst_s = string.match(share, '^(%S+) (%S+)$')
  return {name = name, interval_s = tonumber(interval_s), burst_s = tonumber(burst_s)}
end

local function found(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) == 'table' and answer.err then return {'unreadable', answer.err} end
  return answer
end

local function hand_over(kind, id, slot_s, why, stood)
  local data = found('HGET', ask.job_prefix .. id, 'data')
  if type(data) == 'table' then data = '' end
  local record = found('HGETALL', ask.prefix .. ':push:' .. id)
  table.insert(taken, {kind, id, tostring(slot_s), why, stood, data, record})
end

-- Returns whether the job stood in the queue, or where another worker has just put it: 1 or 0.
local function pop(name, lane, id)
  redis.call('ZREM', ready_key(name, lane), id)
  if leave_queue(ask.queue, ask.deferred, id) == 1 then
    redis.call('RPUSH', ask.popped, id)
    return 1
  end
  return redis.call('LPOS', ask.popped, id) and 1 or 0
end

-- A job that somebody else put into the queue gets a place in the order, and is judged like any.
local function put_back(id)
  if redis.call('LREM', ask.popped, 1, id) == 0 then return end
  redis.call('RPUSH', ask.queue, id)
  local name = string.match(id, '^([^_]+)_')
  redis.call('SADD', ask.arrived, name)
  for _, lane in ipairs(ask.lanes) do
    if redis.call('ZSCORE', ready_key(name, lane), id) then return end
  end
  redis.call('ZADD', ready_key(name, ask.lanes[1]), now, id)
end

local function park(name, why)
  for _, lane in ipairs(ask.lanes) do
    if #taken >= at_most then return end
    local ids = redis.call('ZRANGE', ready_key(name, lane), 0, at_most - #taken - 1)
    for _, id in ipairs(ids) do
      hand_over('park', id, 0, why, pop(name, lane, id))
    end
  end
end

-- One at a time over all workers, at growing intervals, and not always the same order: it may be
-- one that Klarna always fails on. In turn one of the most urgent, and the one that came last.
-- Returns when the next one is due; nil when there is none.
local function probe(account, hold, why)
  local held = ask.prefix .. ':held:' .. account.name
  local waiting = math.min(redis.call('ZCARD', held), ask.probe_among)
  local probe_at = tonumber(redis.call('HGET', hold, 'probe_at') or '')
  if not probe_at or waiting == 0 then return nil end
  probe_at = math.max(probe_at, now + pause_of(ask.pauses, account.name, now))
  if probe_at > now or #taken >= at_most then return probe_at end
  local probes = tonumber(redis.call('HGET', hold, 'probes') or '0')
  local at = probes % 2 == 1 and -1 or probes / 2 % waiting
  local slot_s, more_s = reserve(ask.prefix .. ':quota:' .. account.name, 'next_at', now,
    account.interval_s, 0, ask.horizon_s, 0)
  if not slot_s then return now + more_s end
  local first_s = tonumber(redis.call('HGET', hold, 'probe_first_s'))
  local longest_s = tonumber(redis.call('HGET', hold, 'probe_longest_s'))
  local next_at = now + math.min(longest_s, first_s * 2 ^ (probes + 1))
  redis.call('HSET', hold, 'probes', probes + 1, 'probe_at', epoch(next_at))
  hand_over('probe', redis.call('ZRANGE', held, at, at)[1], slot_s, why, 1)
  return next_at
end

-- Returns how many jobs may be taken in all when the account has taken its own: it leaves as many
-- places free as it has.
local function most_with(name)
  if not places then return at_most end
  local room = math.ceil((places.free - #taken - (places.taken[name] or 0)) / 2)
  return math.min(at_most, #taken + math.max(0, room))
end

-- Returns when to look at the account again; nil when nothing of it waits here.
local function serve(account)
  local paused_s = pause_of(ask.pauses, account.name, now)
  if paused_s > 0 then return has_ready(account.name) and now + paused_s or nil end
  local quota = ask.prefix .. ':quota:' .. account.name
  local interval_s = interval_of(quota, account.interval_s, now)
  local waiting, next_of = {}, {}
  for _, lane in ipairs(ask.lanes) do
    waiting[lane] = redis.call('ZRANGE', ready_key(account.name, lane), 0, at_most - 1)
    next_of[lane] = 1
  end
  local turn = tonumber(redis.call('HGET', quota, 'turn') or '0')
  local unknown_at = tonumber(redis.call('HGET', quota, 'unknown_next_at') or '') or 0
  local taken_before, again_at, most = #taken, nil, most_with(account.name)

  local function can_serve(lane)
    if not waiting[lane][next_of[lane]] then return false end
    if lane ~= ask.unknown_lane or unknown_at - now <= ask.horizon_s then return true end
    again_at = unknown_at - ask.horizon_s
    return false
  end

  local function choose()
    local turns = ask.lanes_by_turn
    if can_serve(turns[turn % #turns + 1]) then return turns[turn % #turns + 1] end
    for _, lane in ipairs(ask.lanes) do
      if can_serve(lane) then return lane end
    end
  end

  while true do
    if #taken >= most then
      again_at = most < at_most and now + ask.full_again_s or now
      break
    end
    local lane = choose()
    if not lane then break end
    local slot_s, more_s = reserve(quota, 'next_at', now, interval_s, account.burst_s,
      ask.horizon_s, 0)
    if not slot_s then
      again_at = now + more_s
      break
    end
    if lane == ask.unknown_lane then
      reserve(quota, 'unknown_next_at', now, interval_s / ask.unknown_share, 0, math.huge,
        0)
      unknown_at = tonumber(redis.call('HGET', quota, 'unknown_next_at'))
    end
    local id = waiting[lane][next_of[lane]]
    next_of[lane] = next_of[lane] + 1
    turn = turn + 1
    hand_over('attempt', id, slot_s, '', pop(account.name, lane, id))
  end
  if #taken > taken_before then
    redis.call('HSET', quota, 'turn', turn % 1000000)
    redis.call('EXPIRE', quota, ask.quota_ttl_s)
  end
  return has_ready(account.name) and (again_at or now) or nil
end

local function visit(account)
  local hold = ask.prefix .. ':hold:' .. account.name
  local why = redis.call('HGET', hold, 'reason')
  if not why then return serve(account) end
  local again_at = probe(account, hold, why)
  park(account.name, why)
  return has_ready(account.name) and now or again_at
end

local function stamp(time)
  return string.format('%.6f', time)
end

local function look_again(name, again_at)
  if again_at then
    redis.call('ZADD', ask.work, stamp(again_at), name)
  else
    redis.call('ZREM', ask.work, name)
  end
end

-- One account whose keys are not what they should be holds up no other.
local function visit_or_note(account)
  local is_well, again_at = pcall(visit, account)
  if is_well then return again_at end
  local error = type(again_at) == 'table' and again_at.err or again_at
  table.insert(failed, {account.name, tostring(error)})
  return now + ask.failed_again_s
end

-- The accounts whose turn it is, so many at a time; those that other workers serve are passed over.
-- One that is looked at moves behind the others.
local function visit_all()
  local passed_over, visits = 0, 0
  for _ = 1, ask.chunks do
    local names = redis.call('ZRANGEBYSCORE', ask.work, '-inf', stamp(now), 'LIMIT', passed_over,
      ask.chunk)
    if #names == 0 then return end
    local shares = redis.call('HMGET', ask.shares, unpack(names))
    for number, name in ipairs(names) do
      if #taken >= at_most or visits >= ask.chunk then return end
      local account = read_share(name, shares[number])
      if account then
        visits = visits + 1
        look_again(name, visit_or_note(account))
      else
        passed_over = passed_over + 1
      end
    end
  end
end

if in_hand ~= '' then put_back(in_hand) end
for _, name in ipairs(redis.call('SPOP', ask.arrived, ask.chunk)) do
  redis.call('ZADD', ask.work, 'LT', stamp(now), name)
end
visit_all()
fill_list(ask.queue, ask.deferred, ask.job_prefix, ask.fill_at_most)

local later = redis.call('ZRANGEBYSCORE', ask.work, '(' .. stamp(now), '+inf', 'WITHSCORES',
  'LIMIT', 0, 1)
if later[1] and redis.call('HEXISTS', ask.shares, later[1]) == 1 then
  wait_s = tostring(tonumber(later[2]) - now)
end
return {taken, wait_s, redis.call('LLEN', ask.queue), failed}
