-- Write the same activities to many timelines, and trim each.
-- KEYS     the timelines (sorted sets), any number; all on this server
-- ARGV[1]  'add' or 'remove'
-- ARGV[2]  keep the newest so many of each, '-1' for all
-- ARGV[3]  write so many values at a time, and trim after each
-- ARGV[4]  for 'add': score, member, score, member, ...; for 'remove': member, member, ...
-- Returns  an array: for each timeline how many entries were new (or were there), or the server's error as a string.
-- Safe to run again. At most 2,000 values at a time, since they are unpacked onto Lua's stack.
local command = ARGV[1] == 'add' and 'ZADD' or 'ZREM'
local keep, step = tonumber(ARGV[2]), tonumber(ARGV[3])

local function write(key)
  local total = 0
  for first = 4, #ARGV, step do
    local reply = redis.pcall(command, key, unpack(ARGV, first, math.min(first + step - 1, #ARGV)))
    if type(reply) == 'table' then
      return reply.err
    end
    total = total + reply
    if keep > 0 and (reply > 0 or command == 'ZREM') then
      redis.call('ZREMRANGEBYRANK', key, 0, -keep - 1)
    end
  end
  return total
end

local result = {}
for i, key in ipairs(KEYS) do
  result[i] = write(key)
end
return result
