-- Find the accounts that are served again and have held orders left.
-- KEYS[1]: the accounts with held orders. KEYS[2]: the accounts that are held. KEYS[3]: the group of
-- accounts that the caller serves. ARGV[1]: what our keys begin with. ARGV[2]: the lane of orders
-- that waited. ARGV[3]: how many accounts at most. ARGV[4]: a number, another one each time.
-- Returns {account, how many of its orders wait in that lane} each.
local names = redis.call('SDIFF', KEYS[1], KEYS[2])
local found, first = {}, tonumber(ARGV[4])
for number = 1, #names do
  if #found == tonumber(ARGV[3]) then break end
  local name = names[(first + number) % #names + 1]
  if redis.call('EXISTS', ARGV[1] .. ':held:' .. name) == 0 then
    redis.call('SREM', KEYS[1], name)
  elseif redis.call('HEXISTS', KEYS[3], name) == 1 then
    local queued = redis.call('ZCARD', ARGV[1] .. ':ready:' .. name .. ':' .. ARGV[2])
    table.insert(found, {name, queued})
  end
end
return found
