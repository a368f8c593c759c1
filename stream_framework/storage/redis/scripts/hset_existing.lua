-- Set those fields of a hash that it has.
-- KEYS[1]  the hash
-- ARGV     field, value, field, value, ...
-- Returns  how many it has
local there = 0
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    there = there + 1
  end
end
return there
