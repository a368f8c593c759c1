-- Run several commands in one step; they write no more than MULTI would, and read even where memory is full.
-- KEYS     the keys of the commands; all on this server
-- ARGV     for each command: of how many parts it is, then these
-- Returns  an array of the replies; the first error ends it, so commands that need memory come first.
local replies, i = {}, 1
while i <= #ARGV do
  local parts = tonumber(ARGV[i])
  replies[#replies + 1] = redis.call(unpack(ARGV, i + 1, i + parts))
  i = i + parts + 1
end
return replies
