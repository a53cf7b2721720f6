-- Hold an account when nothing holds it yet. An operator's word overrules any hold, and refused
-- credentials overrule an outage: only a person can end that.
-- KEYS[1]: the hold. KEYS[2]: the failures in a row. ARGV[1]: the reason. ARGV[2]: the fields of
-- the hold, a JSON list. Returns whether it was begun: 1 or 0.
local present = redis.call('HGET', KEYS[1], 'reason')
local overrules = ARGV[1] == 'operator' or ARGV[1] == 'credentials' and present == 'outage'
if present and not overrules then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(cjson.decode(ARGV[2])))
return 1
