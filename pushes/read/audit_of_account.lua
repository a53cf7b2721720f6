-- Read a part of the audit, the newest first, but only what concerns one account.
-- KEYS[1]: the stream. ARGV[1]: where to begin, as XREVRANGE takes it. ARGV[2]: how many entries to
-- look at. ARGV[3]: the account.
-- Returns how many it looked at, the place of the last, and those of the account.
local function is_of_account(fields)
  for at = 1, #fields, 2 do
    if fields[at] == 'account' then return fields[at + 1] == ARGV[3] end
  end
  return false
end

local found = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2])
local entries = {}
for _, entry in ipairs(found) do
  if is_of_account(entry[2]) then entries[#entries + 1] = entry end
end
return {#found, #found > 0 and found[#found][1], entries}
