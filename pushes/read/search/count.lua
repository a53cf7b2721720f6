-- Count the members of sorted sets whose scores are within bounds.
-- KEYS: the sorted sets. ARGV[1], ARGV[2]: the bounds, as ZCOUNT takes them. Returns a number for
-- each; an error for a key of a wrong type.
local counts = {}
for at, name in ipairs(KEYS) do counts[at] = redis.pcall('ZCOUNT', name, ARGV[1], ARGV[2]) end
return counts
