-- Of the newest entries of many timelines those of some groups: what a new activity may join.
-- KEYS     the timelines (sorted sets); all on this server
-- ARGV[1]  how many of the newest of each are looked at
-- ARGV[2]  what entries start with whose group can be told; others are returned as well
-- ARGV     then that start and the group's name, for each group
-- Returns  an array: for each timeline member, score, member, score, ... newest first, or the server's error as a string.
local last, start = tonumber(ARGV[1]) - 1, ARGV[2]
local wanted = {}
for i = 3, #ARGV do
  wanted[ARGV[i]] = true
end

local result = {}
for i, key in ipairs(KEYS) do
  local members = redis.pcall('ZREVRANGE', key, 0, last)
  local found = {}
  for _, member in ipairs(members) do
    local stop = string.find(member, ';;', 1, true)
    if not stop or wanted[string.sub(member, 1, stop - 1)] or string.sub(member, 1, #start) ~= start then
      found[#found + 1] = member
      found[#found + 1] = redis.call('ZSCORE', key, member)
    end
  end
  result[i] = members.err or found
end
return result
