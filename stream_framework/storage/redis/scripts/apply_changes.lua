-- Change the groups of feeds, and their marks, each feed in one step and only if what was read is still there.
-- KEYS     for each feed: its timeline (a sorted set), then its marker lists; all on this server
-- ARGV     for each feed, one after the other:
--   guard           '0' none; '1' what is removed must be there; '2' that, and no group that is new among the newest
--                   entries; '3' the newest entries must be those that were read
--   length, digest  how many are the newest, and the SHA-1 of those that were read, newest first, joined by newlines; ''
--                   for the digest if it isn't asked for (guard 3 needs it)
--   keep            trim to the newest so many, '-1' for all
--   n, then n members to remove
--   n, then n pairs of score, member to add
--   lists           how many marker lists the feed has among KEYS
--   max             how long a marker list may be, '-1' for any length
--   n, then n marks: renew ('1' or '0'), the new id ('' for none), m, then m old ids
-- Returns  an array: for each feed 0 if refused, or the server's error as a string (and where that is about a list, in an
--   array with the list's key), or the sum of
--   1  it was written
--   2  it is still to be trimmed: the edge cuts through entries of one score, see trim.lua
--   4  the newest entries were those that were read
--   8  entries were trimmed
-- Markers of what was trimmed go in the same step: of all groups older than the oldest that is left.
-- New marks and new entries are written before old ones go, so that an error in between (no memory left, say) loses
-- nothing: a group may then be unread twice, never silently read. Safe to run again.
local arg, key_index = 0, 0

local function take()
  arg = arg + 1
  return ARGV[arg]
end

local function take_many(n)
  local values = {}
  for i = 1, n do
    values[i] = take()
  end
  return values
end

local function contains(list, value)
  local found = redis.call('LPOS', list, value)
  return found ~= false and found ~= nil
end

local function unchanged(key, length, digest)
  if length < 1 then
    return true
  end
  return redis.sha1hex(table.concat(redis.call('ZREVRANGE', key, 0, length - 1), '\n')) == digest
end

local function all_there(key, members)
  for _, member in ipairs(members) do
    if not redis.call('ZSCORE', key, member) then
      return false
    end
  end
  return true
end

local function group_of(member)
  local stop = string.find(member, ';;', 1, true)
  return stop and string.sub(member, 1, stop - 1) or member
end

-- Whether a group that is added, but in no other's place, is there already.
local function grown(key, length, removed, added)
  if length < 1 then
    return false
  end
  local new = {}
  for i = 2, #added, 2 do
    new[group_of(added[i])] = true
  end
  for _, member in ipairs(removed) do
    new[group_of(member)] = nil
  end
  local group = next(new)
  if group == nil then
    return false
  end
  local newest = redis.call('ZREVRANGE', key, '0', tostring(length - 1))
  if next(new, group) == nil then
    -- Nearly always there is one, and then no entry has to be taken apart.
    local head = group .. ';;'
    for _, member in ipairs(newest) do
      if string.sub(member, 1, #head) == head or member == group then
        return true
      end
    end
    return false
  end
  for _, member in ipairs(newest) do
    if new[group_of(member)] then
      return true
    end
  end
  return false
end

local function holds(key, guard, length, same, removed, added)
  if guard == '3' then
    return same
  elseif guard == '2' then
    return all_there(key, removed) and not grown(key, length, removed, added)
  end
  return guard == '0' or all_there(key, removed)
end

-- Whether trimming can be left to the scores; if so it is done.
local function trim(key, keep)
  local edge = redis.call('ZREVRANGE', key, keep - 1, keep, 'WITHSCORES')
  if edge[2] == edge[4] then
    return false
  end
  redis.call('ZREMRANGEBYRANK', key, 0, -keep - 1)
  return true
end

-- Remove the markers of groups that were updated before the oldest that is left. Ids are 13 digits of milliseconds, then
-- 13 of a hash; those of 1.4.0 are whole seconds, and may mean any group of that second.
local function unmark_trimmed(key, lists)
  local oldest = redis.call('ZRANGE', key, '0', '0', 'WITHSCORES')
  local edge = tonumber(oldest[2])
  if not edge then
    return
  end
  for _, list in ipairs(lists) do
    for _, id in ipairs(redis.call('LRANGE', list, '0', '-1')) do
      local last = #id > 13 and tonumber(string.sub(id, 1, -14)) or (tonumber(id) or edge) + 999
      if last and last < edge then
        redis.call('LREM', list, '0', id)
      end
    end
  end
end

local function change(key, lists, guard, length, digest, keep, removed, added, max, marks)
  local count = redis.pcall('ZCARD', key)
  if type(count) == 'table' then
    return count.err
  end
  local lengths = {}
  for i, list in ipairs(lists) do
    lengths[i] = redis.pcall('LLEN', list)
    if type(lengths[i]) == 'table' then
      return { lengths[i].err, list }
    end
  end
  local same = digest ~= '' and unchanged(key, length, digest)
  if not holds(key, guard, length, same, removed, added) then
    return 0
  end
  for i, list in ipairs(lists) do
    for _, mark in ipairs(marks) do
      if mark.id ~= '' and not contains(list, mark.id) then
        local wanted = mark.renew
        for _, old in ipairs(mark.old) do
          wanted = wanted or contains(list, old)
        end
        if wanted then
          local reply = redis.pcall('RPUSH', list, mark.id)
          if type(reply) == 'table' then
            return { reply.err, list }
          end
          lengths[i] = reply
        end
      end
    end
  end
  local new = {}
  for i = 1, #added, 2 do
    new[added[i + 1]] = true
    local reply = redis.pcall('ZADD', key, added[i], added[i + 1])
    if type(reply) == 'table' then
      return reply.err
    end
    count = count + reply
  end
  for i, list in ipairs(lists) do
    for _, mark in ipairs(marks) do
      for _, old in ipairs(mark.old) do
        if old ~= mark.id then
          redis.call('LREM', list, 0, old)
        end
      end
    end
    if max == 0 then
      redis.call('DEL', list)
    elseif max > 0 and lengths[i] > max then
      redis.call('LTRIM', list, -max, -1)
    end
  end
  for _, member in ipairs(removed) do
    if not new[member] then
      count = count - redis.call('ZREM', key, member)
    end
  end
  local result = same and 5 or 1
  if keep > 0 and count > keep then
    if trim(key, keep) then
      unmark_trimmed(key, lists)
      result = result + 8
    else
      result = result + 2
    end
  end
  return result
end

local result = {}
while arg < #ARGV do
  key_index = key_index + 1
  local key = KEYS[key_index]
  local guard, length, digest, keep = take(), tonumber(take()), take(), tonumber(take())
  local removed = take_many(tonumber(take()))
  local added = take_many(2 * tonumber(take()))
  local lists = {}
  for i = 1, tonumber(take()) do
    key_index = key_index + 1
    lists[i] = KEYS[key_index]
  end
  local max = tonumber(take())
  local marks = {}
  for i = 1, tonumber(take()) do
    local renew, id = take() == '1', take()
    marks[i] = { renew = renew, id = id, old = take_many(tonumber(take())) }
  end
  result[#result + 1] = change(key, lists, guard, length, digest, keep, removed, added, max, marks)
end
return result
