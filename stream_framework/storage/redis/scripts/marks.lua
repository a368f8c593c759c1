-- Change the marks of groups in one list, on a server where the list and the groups can't change in one step.
-- KEYS[1]  the list
-- ARGV[1]  'before': mark new ids (the group is about to be written); 'after': remove old ones (it has been)
-- ARGV[2]  how long the list may be, '-1' for any length
-- ARGV     then for each mark: renew ('1' or '0'), the new id ('' for none), m, then m old ids
-- Returns  1
local list, before, max = KEYS[1], ARGV[1] == 'before', tonumber(ARGV[2])

local function contains(value)
  local found = redis.call('LPOS', list, value)
  return found ~= false and found ~= nil
end

local arg = 2
while arg < #ARGV do
  local renew, id, count = ARGV[arg + 1] == '1', ARGV[arg + 2], tonumber(ARGV[arg + 3])
  arg = arg + 3
  local wanted = renew
  for i = arg + 1, arg + count do
    local old = ARGV[i]
    if before then
      wanted = wanted or contains(old)
    elseif old ~= id then
      redis.call('LREM', list, 0, old)
    end
  end
  arg = arg + count
  if before and id ~= '' and wanted and not contains(id) then
    redis.call('RPUSH', list, id)
  end
end
if not before and max > 0 then
  redis.call('LTRIM', list, -max, -1)
end
return 1
