-- The schedule of one account's calls, shared by all workers: a slot every `interval_s` seconds.
-- Put in front of each script that reserves slots. The virtual schedule is that of the generic cell
-- rate algorithm: `next_at` is when the next slot begins; one that was not used is lost, but for
-- `burst_s`, so that calls of one moment need not wait for each other.

-- After an outage work resumes in steps: the share of the quota by seconds since then.
local STEPS = {{5, 0.1}, {10, 0.25}, {20, 0.5}}

local function interval_of(quota, interval_s, now)
  local resumed_at = tonumber(redis.call('HGET', quota, 'resumed_at') or '') or 0
  for _, step in ipairs(STEPS) do
    if now - resumed_at < step[1] then return interval_s / step[2] end
  end
  return interval_s
end

-- Returns how long the pause of an account still lasts, in s; 0 when it has none.
local function pause_of(pauses, account, now)
  local paused_until = tonumber(redis.call('ZSCORE', pauses, account) or '') or 0
  return math.max(0, paused_until - now)
end

-- Returns how long to wait for the slot; or nil and how long until one is near enough.
local function reserve(quota, field, now, interval_s, burst_s, horizon_s, paused_s)
  local next_at = tonumber(redis.call('HGET', quota, field) or '') or 0
  local slot_at = math.max(next_at, now - burst_s)
  if paused_s > 0 then slot_at = math.max(slot_at, now + paused_s) end
  if slot_at - now > horizon_s then return nil, slot_at - now - horizon_s end
  redis.call('HSET', quota, field, string.format('%.6f', slot_at + interval_s))
  return math.max(0, slot_at - now)
end
