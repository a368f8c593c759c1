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

-- More members than share a score, unless many things happened within a thousandth of a second.
local SHARE_A_SCORE = 5

-- The page next to a bound: what follows the bound's score, without the first ones of that very score which lie before
-- the bound. nil if that takes more than a few.
local function next_to(score, id, ascending, skip, count)
  local command, far = 'ZREVRANGEBYSCORE', '-inf'
  if ascending then
    command, far = 'ZRANGEBYSCORE', '+inf'
  end
  local wanted = skip + count + SHARE_A_SCORE
  local found = redis.call(command, key, score, far, 'LIMIT', 0, wanted)
  local before = 0
  for _, member in ipairs(found) do
    if (ascending and less(member, id)) or (not ascending and less(id, member)) then
      before = before + 1
    else
      break
    end
  end
  if before > SHARE_A_SCORE then
    return nil
  end
  local page = {}
  for i = before + skip + 1, math.min(before + skip + count, #found) do
    page[#page + 1] = found[i]
  end
  return page
end

local function between(ascending, skip, count)
  if ARGV[1] == '' and ARGV[3] == '' then
    local stop = count < 0 and -1 or skip + count - 1
    return redis.call(ascending and 'ZRANGE' or 'ZREVRANGE', key, skip, stop)
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
  local size = high - low - skip
  if count >= 0 and count < size then
    size = count
  end
  if size <= 0 then
    return {}
  end
  if ascending then
    return redis.call('ZRANGE', key, low + skip, low + skip + size - 1)
  end
  local start = total - high + skip
  return redis.call('ZREVRANGE', key, start, start + size - 1)
end

local ascending, skip, count = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local members
if count >= 0 and skip + count <= 100 then
  if ascending and ARGV[1] ~= '' and ARGV[3] == '' then
    members = next_to(ARGV[1], ARGV[2], true, skip, count)
  elseif not ascending and ARGV[3] ~= '' and ARGV[1] == '' then
    members = next_to(ARGV[3], ARGV[4], false, skip, count)
  end
end
members = members or between(ascending, skip, count)
if #KEYS == 1 or #members == 0 then
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
