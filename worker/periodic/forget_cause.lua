-- Forget a cause of death unless a dead letter has it again.
-- KEYS[1]: the causes. KEYS[2]: the dead letters of one, by whose name it stands among them.
-- Returns whether it was forgotten: 1 or 0.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZREM', KEYS[1], KEYS[2])
