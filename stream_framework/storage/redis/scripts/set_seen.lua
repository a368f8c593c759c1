-- Moves the seen mark of a timeline forward.
-- KEYS[1]  the mark: 'score id' of the last entry that was seen
-- ARGV[1]  the score of the new mark; ARGV[2]  its id, in decimal
-- Returns  1 if the mark moved, 0 if it was there or further already.
local function less(a, b)
  local a_negative, b_negative = string.sub(a, 1, 1) == '-', string.sub(b, 1, 1) == '-'
  if a_negative ~= b_negative then
    return a_negative
  end
  if a_negative then
    a, b = b, a
  end
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local mark = redis.call('GET', KEYS[1])
local there = mark and string.match(mark, '^%S+ (%S+)$')
if there and not less(there, ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return 1
