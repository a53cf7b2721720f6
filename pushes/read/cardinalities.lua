-- Count the members of sorted sets.
-- KEYS: the sorted sets. Returns a number for each; an error for a key of a wrong type.
local counts = {}
for at, name in ipairs(KEYS) do counts[at] = redis.pcall('ZCARD', name) end
return counts
