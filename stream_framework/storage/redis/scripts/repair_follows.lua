-- Make both ends of pairs agree with whom the users have followed, muted and blocked.
-- KEYS     for each pair six: whom the user has followed, muted, blocked; from whom the user is hidden;
--          who follows the target; from whom the target is hidden; all on this server
-- ARGV     for each pair: the user, the target
-- Returns  1
local function agree(there, key, member)
  redis.call(there == 1 and 'SADD' or 'SREM', key, member)
end

for i = 1, #KEYS, 6 do
  local arg = (i - 1) / 3
  local user, target = ARGV[arg + 1], ARGV[arg + 2]
  local since = redis.call('ZSCORE', KEYS[i], target)
  if since then
    redis.call('ZADD', KEYS[i + 4], since, user)
  else
    redis.call('ZREM', KEYS[i + 4], user)
  end
  agree(redis.call('SISMEMBER', KEYS[i + 1], target), KEYS[i + 5], 'm' .. user)
  local blocked = redis.call('SISMEMBER', KEYS[i + 2], target)
  agree(blocked, KEYS[i + 5], 'b' .. user)
  agree(blocked, KEYS[i + 3], 'c' .. target)
end
return 1
