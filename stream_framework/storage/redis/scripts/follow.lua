-- Make users follow targets, both ends of each pair in one step.
-- KEYS     for each pair: whom the user follows, who follows the target; all on this server
-- ARGV     for each pair: the user, the target, since when in milliseconds
-- Returns  1. A pair that is there keeps its time, and its other end is written anew.
for i = 1, #KEYS, 2 do
  local followed, followers = KEYS[i], KEYS[i + 1]
  local arg = (i - 1) / 2 * 3
  local user, target, since = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  if redis.call('ZADD', followed, 'NX', since, target) == 0 then
    since = redis.call('ZSCORE', followed, target)
  end
  redis.call('ZADD', followers, since, user)
end
return 1
