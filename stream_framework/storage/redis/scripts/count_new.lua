-- How many entries of a timeline are above its seen mark.
-- A score is a double, or a millisecond: entries that share the mark's are told apart by their ids.
-- KEYS[1]  the timeline
-- KEYS[2]  the mark: 'score id'; all are new where there is none
-- ARGV[1]  '1' if the members are ids in decimal, '0' if only the client can tell their ids
-- Returns  count; if only the client can tell, then the mark's score, its id, and the members that share the score.
--          O(log(n) + members that share the mark's score).
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

local mark = redis.call('GET', KEYS[2])
local score, id
if mark then
  score, id = string.match(mark, '^(%S+) (%S+)$')
end
if not id then
  return {redis.call('ZCARD', KEYS[1])}
end
local count = redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
local run = redis.call('ZRANGEBYSCORE', KEYS[1], score, score)
if ARGV[1] == '1' then
  for _, member in ipairs(run) do
    if less(id, member) then
      count = count + 1
    end
  end
  return {count}
end
local reply = {count, score, id}
for i, member in ipairs(run) do
  reply[i + 3] = member
end
return reply
