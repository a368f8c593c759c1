-- One page of a flat timeline between two ids, exactly.
-- A score is a double: ids within a few million of each other share one, and among those Redis sorts by the text of the
-- member, which for ids of one length is their order as numbers. So a bound is looked for by its score first, and among
-- the members of that score by halving.
-- KEYS[1]  the timeline
-- ARGV[1]  the score of the lowest id that passes, '' for no bound;  ARGV[2]  the id itself
-- ARGV[3]  the score of the highest id that passes, '' for no bound; ARGV[4]  the id itself
-- ARGV[5]  '1' for ascending order, '0' for descending
-- ARGV[6]  how many to skip;  ARGV[7]  how many to return, '-1' for all
-- Returns  members. O(log(n) squared + entries returned).
local key = KEYS[1]

local function less(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

-- The rank of the first member that is not less than id (or, with after, that is greater).
local function rank_of(score, id, after)
  local first = redis.call('ZCOUNT', key, '-inf', '(' .. score)
  local last = first + redis.call('ZCOUNT', key, score, score)
  while first < last do
    local middle = math.floor((first + last) / 2)
    local member = redis.call('ZRANGE', key, middle, middle)[1]
    local before
    if after then
      before = not less(id, member)
    else
      before = less(member, id)
    end
    if before then
      first = middle + 1
    else
      last = middle
    end
  end
  return first
end

local low = 0
if ARGV[1] ~= '' then
  low = rank_of(ARGV[1], ARGV[2], false)
end
local high
if ARGV[3] ~= '' then
  high = rank_of(ARGV[3], ARGV[4], true)
else
  high = redis.call('ZCARD', key)
end
local skip, count = tonumber(ARGV[6]), tonumber(ARGV[7])
local size = high - low - skip
if count >= 0 and count < size then
  size = count
end
if size <= 0 then
  return {}
end
if ARGV[5] == '1' then
  return redis.call('ZRANGE', key, low + skip, low + skip + size - 1)
end
local total = redis.call('ZCARD', key)
local start = total - high + skip
return redis.call('ZREVRANGE', key, start, start + size - 1)
