-- One page of a flat timeline, between two ids if they are given, exactly; with the activities if they are asked for.
-- A score is a double: ids within a few million of each other share one, and among those Redis sorts by the text of the
-- member, which for ids of one length is their order as numbers. So a bound is looked for by its score first, and among
-- the members of that score by halving.
-- Which of the hashes an activity is in the client knows by the MD5 of its id, and Lua has none: each hash is asked for
-- what those before it didn't have.
-- KEYS[1]  the timeline
-- KEYS[2]  and all that follow: the hashes that hold activities, if these are asked for; all on this server
-- ARGV[1]  the score of the lowest id that passes, '' for no bound;  ARGV[2]  the id itself
-- ARGV[3]  the score of the highest id that passes, '' for no bound; ARGV[4]  the id itself
-- ARGV[5]  '1' for ascending order, '0' for descending
-- ARGV[6]  how many to skip;  ARGV[7]  how many to return, '-1' for all
-- Returns  members; with hashes member, activity, member, activity, ..., nil for one that is in none of them.
--          O(log(n) squared + entries returned times hashes). At most 2,000 entries with hashes, since they are unpacked
--          onto Lua's stack.
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
local total = redis.call('ZCARD', key)
local high = total
if ARGV[3] ~= '' then
  high = rank_of(ARGV[3], ARGV[4], true)
end
local skip, count = tonumber(ARGV[6]), tonumber(ARGV[7])
local size = high - low - skip
if count >= 0 and count < size then
  size = count
end
if size <= 0 then
  return {}
end
local members
if ARGV[5] == '1' then
  members = redis.call('ZRANGE', key, low + skip, low + skip + size - 1)
else
  local start = total - high + skip
  members = redis.call('ZREVRANGE', key, start, start + size - 1)
end
if #KEYS == 1 then
  return members
end

local page, missing, places = {}, {}, {}
for i, member in ipairs(members) do
  page[2 * i - 1], page[2 * i] = member, false
  missing[i], places[i] = member, 2 * i
end
local left = #members
for hash = 2, #KEYS do
  local values = redis.call('HMGET', KEYS[hash], unpack(missing, 1, left))
  local still = 0
  for i = 1, left do
    if values[i] then
      page[places[i]] = values[i]
    else
      still = still + 1
      missing[still], places[still] = missing[i], places[i]
    end
  end
  left = still
  if left == 0 then
    break
  end
end
return page
