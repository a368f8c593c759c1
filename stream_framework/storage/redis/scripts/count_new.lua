-- How many entries of each of some timelines are above its seen mark.
-- A score is a double, or a millisecond: entries that share the mark's are told apart by their ids.
-- KEYS     for each timeline its own, and that of its mark: 'score id'; all entries are new where there is none
-- ARGV     for each timeline '1' if the members are ids in decimal, '0' if only the client can tell their ids
-- Returns  for each timeline a count; if only the client can tell, {count, the mark's score, its id, the members that
--          share the score}. O(log(n) + members that share the mark's score) for each.
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

local function count_new(key, mark, has_ids)
  local score, id
  if mark then
    score, id = string.match(mark, '^(%S+) (%S+)$')
  end
  if not id then
    return redis.call('ZCARD', key)
  end
  local count = redis.call('ZCOUNT', key, '(' .. score, '+inf')
  local run = redis.call('ZRANGEBYSCORE', key, score, score)
  if has_ids then
    for _, member in ipairs(run) do
      if member ~= id and less(id, member) then
        count = count + 1
      end
    end
    return count
  end
  if #run == 0 then
    return count
  end
  local reply = {count, score, id}
  for i, member in ipairs(run) do
    reply[i + 3] = member
  end
  return reply
end

local replies = {}
for place, flag in ipairs(ARGV) do
  local key = KEYS[2 * place - 1]
  replies[place] = count_new(key, redis.call('GET', KEYS[2 * place]), flag == '1')
end
return replies
