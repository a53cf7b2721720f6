-- Count the members of sorted sets whose scores are within bounds.
-- KEYS: the sorted sets. ARGV[1], ARGV[2]: the bounds, as ZCOUNT takes them. Returns a number for
-- each; an error for a key of a wrong type.
local is_all = ARGV[1] == '-inf' and ARGV[2] == '+inf'
local counts = {}
for at, name in ipairs(KEYS) do
  if is_all then
    counts[at] = redis.pcall('ZCARD', name)
  else
    counts[at] = redis.pcall('ZCOUNT', name, ARGV[1], ARGV[2])
  end
end
return counts
