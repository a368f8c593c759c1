-- Of the newest entries of many timelines those of some groups: what a new activity may join.
-- KEYS     the timelines (sorted sets); all on this server
-- ARGV[1]  how many of the newest of each are looked at
-- ARGV[2]  what entries start with whose group can be told; others are returned as well
-- ARGV     then that start and the group's name, for each group
-- Returns  an array: for each timeline member, score, member, score, ... newest first, or the server's error as a string.
-- Numbers as text, since the server would make each into text again.
local last, start = tostring(tonumber(ARGV[1]) - 1), ARGV[2]
local find, sub, call, pcall = string.find, string.sub, redis.call, redis.pcall
-- What an entry starts with up to its group's name -> whether it is returned. The same groups are in many feeds.
local returned = {}
for i = 3, #ARGV do
  returned[ARGV[i]] = true
end

local result = {}
for i, key in ipairs(KEYS) do
  local members = pcall('ZREVRANGE', key, '0', last)
  local found = {}
  for _, member in ipairs(members) do
    local stop = find(member, ';;', 1, true)
    local wanted = true
    if stop then
      local head = sub(member, 1, stop - 1)
      wanted = returned[head]
      if wanted == nil then
        wanted = sub(head, 1, #start) ~= start
        returned[head] = wanted
      end
    end
    if wanted then
      found[#found + 1] = member
      found[#found + 1] = call('ZSCORE', key, member)
    end
  end
  result[i] = members.err or found
end
return result
