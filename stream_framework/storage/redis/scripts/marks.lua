-- Change the marks of groups in one list, on a cluster, where the list and the groups can't change in one step.
-- A writer marks what is new before it writes the groups, and takes away what is old after it. In between another writer
-- may come, for whom an old mark is a new one (a group that shrinks back): so each leaves its name first, and who finds
-- another's name then takes nothing away. Who finds its own, and knows all groups that there are, tidies up.
-- KEYS[1]  the list
-- KEYS[2]  the name of the writer that came last, in the same slot
-- ARGV[1]  'before' or 'after';  ARGV[2]  the writer's name
-- ARGV[3]  how long the list may be, '-1' for any length
-- ARGV[4]  after: tidy up, that is remove marks of groups that were updated later than this, in milliseconds, and aren't
--          there; '' to leave that
-- ARGV     then n, and the n ids of the groups that are there
-- ARGV     then for each mark: renew ('1' or '0'), the new id ('' for none), m, then m old ids
-- Returns  1
local list, last_writer = KEYS[1], KEYS[2]
local before, writer, max = ARGV[1] == 'before', ARGV[2], tonumber(ARGV[3])
local floor, count = tonumber(ARGV[4]), tonumber(ARGV[5])

local function contains(value)
  local found = redis.call('LPOS', list, value)
  return found ~= false and found ~= nil
end

if before then
  redis.call('SET', last_writer, writer, 'EX', 600)
elseif redis.call('GET', last_writer) ~= writer then
  return 1
end
local arg = 5 + count
while arg < #ARGV do
  local renew, id, olds = ARGV[arg + 1] == '1', ARGV[arg + 2], tonumber(ARGV[arg + 3])
  arg = arg + 3
  local wanted = renew
  for i = arg + 1, arg + olds do
    local old = ARGV[i]
    if before then
      wanted = wanted or contains(old)
    elseif old ~= id then
      redis.call('LREM', list, 0, old)
    end
  end
  arg = arg + olds
  if before and id ~= '' and wanted and not contains(id) then
    redis.call('RPUSH', list, id)
  end
end
if before then
  return 1
end
if floor then
  local there = {}
  for i = 6, 5 + count do
    there[ARGV[i]] = true
  end
  for _, id in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if #id == 26 and not there[id] and (tonumber(string.sub(id, 1, 13)) or floor) > floor then
      redis.call('LREM', list, 0, id)
    end
  end
end
if max == 0 then
  redis.call('DEL', list)
elseif max > 0 then
  redis.call('LTRIM', list, -max, -1)
end
redis.call('DEL', last_writer)
return 1
