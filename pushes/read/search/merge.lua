-- Read the next places of very many indexes, merged into one order.
-- KEYS: the indexes. ARGV[1]: ZRANGEBYSCORE or ZREVRANGEBYSCORE. ARGV[2], ARGV[3]: its bounds.
-- ARGV[4]: how many of each to read at a time. ARGV[5], ARGV[6]: the score and the member of the
-- place to go on behind; '' for the beginning.
-- Returns whether there is more behind, then each member and its score, as far as all are known:
-- of an index that holds more than was read, as far as its last that was.
local is_backwards = ARGV[1] == 'ZREVRANGEBYSCORE'
local chunk, after = tonumber(ARGV[4]), {tonumber(ARGV[5]), ARGV[6]}

-- A place is a score, a member, and the score as it was read.
local function is_before(one, other)
  if is_backwards then one, other = other, one end
  if one[1] ~= other[1] then return one[1] < other[1] end
  return one[2] < other[2]
end

local places, horizon = {}, nil
for _, index in ipairs(KEYS) do
  local offset, last = 0, nil
  repeat
    local found = redis.call(
      ARGV[1], index, ARGV[2], ARGV[3], 'WITHSCORES', 'LIMIT', offset, chunk)
    for at = 1, #found, 2 do
      local place = {tonumber(found[at + 1]), found[at], found[at + 1]}
      if not after[1] or is_before(after, place) then
        last = place
        places[#places + 1] = place
      end
    end
    offset = offset + chunk
    local is_cut = #found == 2 * chunk
    -- All of them may have the score of the place to go on from: then those behind.
    if is_cut and last and (not horizon or is_before(last, horizon)) then horizon = last end
  until last or not is_cut
end

table.sort(places, is_before)
local answer = {horizon and 1 or 0}
for _, place in ipairs(places) do
  if horizon and is_before(horizon, place) then break end
  answer[#answer + 1] = place[2]
  answer[#answer + 1] = place[3]
end
return answer
