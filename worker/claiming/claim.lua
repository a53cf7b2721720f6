-- Take the jobs that may be attempted now, the most urgent of each account first.
-- ARGV: what is always asked for, as JSON (`worker/claims.py` says what each field means); how many
-- at most; which account comes first; a job to put back in its place, or ''; the time, or ''.
-- Returns the jobs taken, {kind, id, wait in s, why held, data, record} each; how long until more
-- can be taken ('' when nothing waits); and how many jobs are left in RQ's list, which is empty only
-- when no job waits beyond it either.

local ask = cjson.decode(ARGV[1])
local at_most, first, in_hand = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local now = time_of(ARGV[5])
local taken, wait_s = {}, nil

local function sooner(seconds)
  if not wait_s or seconds < wait_s then wait_s = seconds end
end

local function ready_key(name, lane)
  return ask.prefix .. ':ready:' .. name .. ':' .. lane
end

local function found(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) == 'table' and answer.err then return {'unreadable', answer.err} end
  return answer
end

local function hand_over(kind, id, slot_s, why)
  local data = found('HGET', ask.job_prefix .. id, 'data')
  if type(data) == 'table' then data = '' end
  local record = found('HGETALL', ask.prefix .. ':push:' .. id)
  table.insert(taken, {kind, id, tostring(slot_s), why, data, record})
end

local function pop(name, lane, id)
  redis.call('ZREM', ready_key(name, lane), id)
  if leave_queue(ask.queue, ask.deferred, id) == 1 then redis.call('RPUSH', ask.popped, id) end
end

-- A job that somebody else put into the queue gets a place in the order, and is judged like any.
local function put_back(id)
  if redis.call('LREM', ask.popped, 1, id) == 0 then return end
  redis.call('RPUSH', ask.queue, id)
  local name = string.match(id, '^([^_]+)_')
  for _, lane in ipairs(ask.lanes) do
    if redis.call('ZSCORE', ready_key(name, lane), id) then return end
  end
  redis.call('ZADD', ready_key(name, ask.lanes[1]), now, id)
end

local function park(name, why)
  for _, lane in ipairs(ask.lanes) do
    local ids = redis.call('ZRANGE', ready_key(name, lane), 0, at_most - #taken - 1)
    if #taken >= at_most then return end
    for _, id in ipairs(ids) do
      pop(name, lane, id)
      hand_over('park', id, 0, why)
    end
  end
end

-- One at a time over all workers, at growing intervals, and not always the same order: it may be
-- one that Klarna always fails on. In turn one of the most urgent, and the one that came last.
local function probe(account, hold, why)
  local probe_at = tonumber(redis.call('HGET', hold, 'probe_at') or '')
  if not probe_at then return end
  local paused_s = pause_of(ask.pauses, account.name, now)
  local wait_s = math.max(probe_at - now, paused_s)
  if wait_s > 0 then return sooner(wait_s) end
  local held = ask.prefix .. ':held:' .. account.name
  local probes = tonumber(redis.call('HGET', hold, 'probes') or '0')
  local waiting = math.min(redis.call('ZCARD', held), ask.probe_among)
  if waiting == 0 or #taken >= at_most then return end
  local at = probes % 2 == 1 and -1 or probes / 2 % waiting
  local slot_s = reserve(ask.prefix .. ':quota:' .. account.name, 'next_at', now,
    account.interval_s, 0, ask.horizon_s, 0)
  if not slot_s then return sooner(ask.horizon_s) end
  local first_s = tonumber(redis.call('HGET', hold, 'probe_first_s'))
  local longest_s = tonumber(redis.call('HGET', hold, 'probe_longest_s'))
  local pause_s = math.min(longest_s, first_s * 2 ^ (probes + 1))
  redis.call('HSET', hold, 'probes', probes + 1, 'probe_at', string.format('%.3f', now + pause_s))
  hand_over('probe', redis.call('ZRANGE', held, at, at)[1], slot_s, why)
end

local function serve(account)
  local paused_s = pause_of(ask.pauses, account.name, now)
  if paused_s > 0 then
    for _, lane in ipairs(ask.lanes) do
      if redis.call('ZCARD', ready_key(account.name, lane)) > 0 then sooner(paused_s) end
    end
    return
  end
  local quota = ask.prefix .. ':quota:' .. account.name
  local interval_s = interval_of(quota, account.interval_s, now)
  local waiting, next_of = {}, {}
  for _, lane in ipairs(ask.lanes) do
    waiting[lane] = redis.call('ZRANGE', ready_key(account.name, lane), 0, at_most - 1)
    next_of[lane] = 1
  end
  local turn = tonumber(redis.call('HGET', quota, 'turn') or '0')
  local unknown_at = tonumber(redis.call('HGET', quota, 'unknown_next_at') or '') or 0

  local function can_serve(lane)
    if not waiting[lane][next_of[lane]] then return false end
    if lane ~= ask.unknown_lane or unknown_at - now <= ask.horizon_s then return true end
    sooner(unknown_at - now - ask.horizon_s)
    return false
  end

  local function choose()
    local turns = ask.lanes_by_turn
    if can_serve(turns[turn % #turns + 1]) then return turns[turn % #turns + 1] end
    for _, lane in ipairs(ask.lanes) do
      if can_serve(lane) then return lane end
    end
  end

  local taken_before = #taken
  while #taken < at_most do
    local lane = choose()
    if not lane then break end
    local slot_s, more_s = reserve(quota, 'next_at', now, interval_s, account.burst_s,
      ask.horizon_s, 0)
    if not slot_s then
      sooner(more_s)
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
    pop(account.name, lane, id)
    hand_over('attempt', id, slot_s, '')
  end
  if #taken > taken_before then
    redis.call('HSET', quota, 'turn', turn % 1000000)
    redis.call('EXPIRE', quota, ask.quota_ttl_s)
  end
end

if in_hand ~= '' then put_back(in_hand) end
for number = 1, #ask.accounts do
  local account = ask.accounts[(first + number) % #ask.accounts + 1]
  local hold = ask.prefix .. ':hold:' .. account.name
  local why = redis.call('HGET', hold, 'reason')
  if why then
    probe(account, hold, why)
    park(account.name, why)
  else
    serve(account)
  end
end
fill_list(ask.queue, ask.deferred, ask.job_prefix, ask.fill_at_most)
return {taken, wait_s and tostring(wait_s) or '', redis.call('LLEN', ask.queue)}
