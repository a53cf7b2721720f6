-- Take a job out of RQ's schedule unless it has been given another time meanwhile: a push that
-- another worker has queued, tried and scheduled again since the scan must keep its new time.
-- KEYS[1]: the schedule. ARGV[1]: the job. ARGV[2]: the time that was seen.
-- Returns whether it was taken out: 1 or 0.
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 'nan') == tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
