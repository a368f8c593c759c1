-- One page of a timeline of groups, with all that is needed to put it in exact order.
-- Groups that were updated in the same millisecond share a score, and are put in order by their ids, which only the
-- client can tell. So the page is widened at both edges until it cuts through no run of equal scores.
-- KEYS[1]  the timeline
-- ARGV[1]  '1' for ascending order, '0' for descending
-- ARGV[2]  the lowest score that may pass, '' for no bound; entries of that very score are all returned
-- ARGV[3]  the highest score, likewise
-- ARGV[4]  how many of those that pass to skip;  ARGV[5]  where to stop, '-1' for the end
-- Returns  an array: how many of those that may pass come before the first entry, then member, score, member, score, ...
local key, ascending = KEYS[1], ARGV[1] == '1'
local near, far = ARGV[2], ARGV[3]
if not ascending then
  near, far = far, near
end
local start, stop = tonumber(ARGV[4]), tonumber(ARGV[5])
local range = ascending and 'ZRANGE' or 'ZREVRANGE'

local function before(score)
  if ascending then
    return redis.call('ZCOUNT', key, '-inf', '(' .. score)
  end
  return redis.call('ZCOUNT', key, '(' .. score, '+inf')
end

local function upto(score)
  if ascending then
    return redis.call('ZCOUNT', key, '-inf', score)
  end
  return redis.call('ZCOUNT', key, score, '+inf')
end

local first, last = 0, redis.call('ZCARD', key) - 1
local from, to = start, stop - 1
if near ~= '' then
  -- Those of the very score of the bound may pass or not: they don't count, but are returned.
  first = before(near)
  from, to = first, upto(near) + stop - 1
end
if far ~= '' then
  last = upto(far) - 1
end
if stop < 0 or to > last then
  to = last
end
if from > to then
  return { 0 }
end
local found = redis.call(range, key, from, to, 'WITHSCORES')
if #found == 0 then
  return { 0 }
end
local whole_first, whole_last = before(found[2]), upto(found[#found]) - 1
if whole_first < from or whole_last > to then
  found = redis.call(range, key, whole_first, whole_last, 'WITHSCORES')
end
table.insert(found, 1, whole_first - first)
return found
