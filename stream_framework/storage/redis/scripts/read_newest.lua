-- The newest entries of many timelines.
-- KEYS     the timelines (sorted sets); all on this server
-- ARGV[1]  how many of each
-- Returns  an array: for each timeline member, score, member, score, ... newest first, or the server's error as a string.
local last = tonumber(ARGV[1]) - 1
local result = {}
for i, key in ipairs(KEYS) do
  local reply = redis.pcall('ZREVRANGE', key, 0, last, 'WITHSCORES')
  result[i] = reply.err or reply
end
return result
