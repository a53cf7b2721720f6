-- The one clock of all that workers, operators and the web process compare: Redis's own.
-- Put in front of each script that compares times. `given` is a test's time, '' in life.
local function time_of(given)
  if tonumber(given) then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function epoch(time)
  return string.format('%.3f', time)
end
