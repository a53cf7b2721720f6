-- Count re-sends, each once: of two workers that look at the same order, one counts.
-- KEYS[1]: the orders that Klarna should push again, scored by when that push counts as missed.
-- ARGV[1]: a JSON list of [order, time seen, commands]; the commands of an order are run while its
-- time is still the one seen.
for _, one in ipairs(cjson.decode(ARGV[1])) do
  if tonumber(redis.call('ZSCORE', KEYS[1], one[1]) or 'nan') == tonumber(one[2]) then
    for _, command in ipairs(one[3]) do
      redis.call(unpack(command))
    end
  end
end
