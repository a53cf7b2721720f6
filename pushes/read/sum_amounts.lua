-- Sum what orders are worth, by currency.
-- KEYS: their records. ARGV[1]: the field of the amount in minor units. ARGV[2]: that of the
-- currency. Returns how many have no amount, then each currency with its sum.
local unknown, sums, currencies = 0, {}, {}
for _, name in ipairs(KEYS) do
  local found = redis.pcall('HMGET', name, ARGV[1], ARGV[2])
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
local answer = {unknown}
for _, currency in ipairs(currencies) do
  answer[#answer + 1] = currency
  answer[#answer + 1] = string.format('%.0f', sums[currency])
end
return answer
