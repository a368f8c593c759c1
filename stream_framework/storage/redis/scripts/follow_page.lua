-- A page of a sorted set, highest scores first, from a place on that need not be there any more.
-- Members of one score Redis sorts by their bytes. Lua compares text by the server's locale, so bytes are compared here.
-- KEYS[1]  the sorted set
-- ARGV[1]  the score;  ARGV[2]  the member: what comes after it is returned
-- ARGV[3]  how many to return
-- ARGV[4]  'members' for members alone
-- Returns  member, score, member, score, ...; or member, member, ..., and the score of the last one
-- O(log(n) squared + entries returned)
local key, score, member, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local first = redis.call('ZCOUNT', key, '(' .. score, '+inf')
local last = first + redis.call('ZCOUNT', key, score, score)
while first < last do
  local middle = math.floor((first + last) / 2)
  local found = redis.call('ZREVRANGE', key, middle, middle)[1]
  if less(found, member) then
    last = middle
  else
    first = middle + 1
  end
end
if ARGV[4] ~= 'members' then
  return redis.call('ZREVRANGE', key, first, first + count - 1, 'WITHSCORES')
end
local members = redis.call('ZREVRANGE', key, first, first + count - 1)
if #members > 0 then
  members[#members + 1] = redis.call('ZSCORE', key, members[#members])
end
return members
