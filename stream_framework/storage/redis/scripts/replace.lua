-- Replace an entry of a timeline by another of the same score, if it is still there.
-- KEYS[1]  the timeline
-- ARGV[1]  the member that goes;  ARGV[2]  the member that comes
-- Returns  1, or 0 if the first is not there
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
  return 0
end
if ARGV[1] ~= ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZADD', KEYS[1], score, ARGV[2])
end
return 1
