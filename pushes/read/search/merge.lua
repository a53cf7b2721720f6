-- Read the next places of very many indexes, merged into one order.
-- KEYS: the indexes. ARGV[1]: ZRANGEBYSCORE or ZREVRANGEBYSCORE. ARGV[2], ARGV[3]: its bounds.
-- ARGV[4]: how many places at most. ARGV[5], ARGV[6]: the score and the member of the place to go on
-- behind; '' for the beginning.
-- Returns whether there may be more behind, then each member and its score.
local is_backwards, wanted = ARGV[1] == 'ZREVRANGEBYSCORE', tonumber(ARGV[4])
local last, after = ARGV[3], {tonumber(ARGV[5]), ARGV[6]}

-- A place is a score, a member, and the score as it was read.
local function is_before(one, other)
  if is_backwards then one, other = other, one end
  if one[1] ~= other[1] then return one[1] < other[1] end
  return one[2] < other[2]
end

-- Read the first places of an index behind the one to go on from: so many, or a few more.
local function first_places(index, count)
  local places, offset, size = {}, 0, count
  repeat
    local found = redis.call(
      ARGV[1], index, ARGV[2], last, 'WITHSCORES', 'LIMIT', offset, size)
    for at = 1, #found, 2 do
      local place = {tonumber(found[at + 1]), found[at], found[at + 1]}
      if not after[1] or is_before(after, place) then places[#places + 1] = place end
    end
    local is_cut = #found == 2 * size
    -- Many may have the score of the place to go on from, and stand before it.
    offset, size = offset + size, size * 4
  until #places >= count or not is_cut
  return places
end

-- Nothing that is wanted has a score beyond that of the last of so many places.
local function bound(place)
  last = place[3]
end

-- One place of each index says of which indexes more is wanted: of a few.
local heads = {}
for _, index in ipairs(KEYS) do
  local head = first_places(index, 1)[1]
  if head then heads[#heads + 1] = {head[1], head[2], head[3], index} end
end
table.sort(heads, is_before)
if #heads >= wanted then bound(heads[wanted]) end

local places = {}
for at = 1, math.min(#heads, wanted) do
  for _, place in ipairs(first_places(heads[at][4], wanted)) do places[#places + 1] = place end
  if #places >= 2 * wanted then
    table.sort(places, is_before)
    for beyond = #places, wanted + 1, -1 do places[beyond] = nil end
    bound(places[wanted])
  end
end
table.sort(places, is_before)

local answer = {#places >= wanted and 1 or 0}
for at = 1, math.min(#places, wanted) do
  answer[#answer + 1] = places[at][2]
  answer[#answer + 1] = places[at][3]
end
return answer
