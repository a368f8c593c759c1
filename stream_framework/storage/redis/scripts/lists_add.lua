-- Append to lists, and drop the oldest.
-- KEYS     the lists; all on this server
-- ARGV[1]  '1' to move what is there already to the end, '0' to let it repeat
-- ARGV[2]  how long a list may be, '-1' for any length
-- ARGV     then for each list n, and n items
-- Returns  1. What needs memory comes first: an error leaves the lists as they were.
local once, max = ARGV[1] == '1', tonumber(ARGV[2])
local arg = 3
for _, list in ipairs(KEYS) do
  local first, last = arg + 1, arg + tonumber(ARGV[arg])
  arg = last + 1
  for i = first, last, 1000 do
    redis.call('RPUSH', list, unpack(ARGV, i, math.min(i + 999, last)))
  end
  if once then
    for i = first, last do
      while redis.call('LPOS', list, ARGV[i], 'RANK', 2) do
        redis.call('LREM', list, 1, ARGV[i])
      end
    end
  end
  if max == 0 then
    redis.call('DEL', list)
  elseif max > 0 then
    redis.call('LTRIM', list, -max, -1)
  end
end
return 1
