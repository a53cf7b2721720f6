-- Read a part of an index, but only what is of some accounts.
-- KEYS[1]: the index. ARGV[1]: ZRANGEBYSCORE or ZREVRANGEBYSCORE. ARGV[2] to ARGV[5]: its bounds, how
-- many to leave out, how many to look at. ARGV[6]: the pattern by which a member tells its account.
-- Behind them: the accounts.
-- Returns how many it looked at, then each member and its score; the last that it looked at, too,
-- whose ever it is: there the next part begins.
local wanted = {}
for at = 7, #ARGV do wanted[ARGV[at]] = true end
local found = redis.call(
  ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES', 'LIMIT', ARGV[4], ARGV[5])
local answer = {#found / 2}
for at = 1, #found, 2 do
  if at == #found - 1 or wanted[string.match(found[at], ARGV[6]) or ''] then
    answer[#answer + 1] = found[at]
    answer[#answer + 1] = found[at + 1]
  end
end
return answer
