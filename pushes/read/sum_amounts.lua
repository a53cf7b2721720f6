-- Sum what some orders of an index are worth, by currency.
-- KEYS[1]: the index. ARGV[1], ARGV[2]: the bounds of the scores, as ZRANGEBYSCORE takes them.
-- ARGV[3], ARGV[4]: how many to leave out, and how many to take. ARGV[5]: what the names of records
-- begin with. ARGV[6]: the field of the amount in minor units. ARGV[7]: that of the currency.
-- Returns how many orders it took, how many of them have no amount, then each currency and its sum.
local unknown, sums, currencies = 0, {}, {}
local members = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', ARGV[3], ARGV[4])
for _, member in ipairs(members) do
  local found = redis.pcall('HMGET', ARGV[5] .. member, ARGV[6], ARGV[7])
  local amount, currency = found[1], found[2]
  -- 15 digits are exact in Lua's numbers.
  if amount and currency and string.find(amount, '^%-?%d+$') and #amount <= 15 then
    if not sums[currency] then
      sums[currency] = 0
      currencies[#currencies + 1] = currency
    end
    sums[currency] = sums[currency] + tonumber(amount)
  else
    unknown = unknown + 1
  end
end
local answer = {#members, unknown}
for _, currency in ipairs(currencies) do
  answer[#answer + 1] = currency
  answer[#answer + 1] = string.format('%.0f', sums[currency])
end
return answer
