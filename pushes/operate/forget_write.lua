-- Forget a write whose outcome is known, unless another one is kept there by now.
-- KEYS[1]: where it is kept. ARGV[1]: the write as it was kept.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
