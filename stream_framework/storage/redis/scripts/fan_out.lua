-- Write the same activities to many timelines, and trim each; then read the marks of what was written.
-- KEYS     the timelines (sorted sets), any number, then the marks (strings); all on this server
-- ARGV[1]  'add' or 'remove'
-- ARGV[2]  keep the newest so many of each, '-1' for all
-- ARGV[3]  write so many values at a time, and trim after each
-- ARGV[4]  how many of the keys are marks
-- ARGV[5]  for 'add': score, member, score, member, ...; for 'remove': member, member, ...
-- Returns  an array: how many entries were new (or were there), all timelines together; the number of the first timeline
--          that could not be written, 0 if there is none, and the server's error as a string, '' likewise; then the values
--          of the marks, nil for one that is not set.
-- Safe to run again. At most 2,000 values at a time, since they are unpacked onto Lua's stack.
local command = ARGV[1] == 'add' and 'ZADD' or 'ZREM'
local keep, step, marks = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
-- Text, since the server would make each number into text again.
local last = '-' .. (keep + 1)
local call, pcall = redis.call, redis.pcall
local result = { 0, 0, '' }

local function put(key, ...)
  local reply = pcall(command, key, ...)
  if type(reply) == 'table' then
    return reply.err
  end
  result[1] = result[1] + reply
  if keep > 0 and (reply > 0 or command == 'ZREM') then
    call('ZREMRANGEBYRANK', key, '0', last)
  end
end

-- Nearly every fan-out is of one activity.
local one, score, member = #ARGV == 6, ARGV[5], ARGV[6]

local function write(key)
  if one then
    return put(key, score, member)
  end
  for first = 5, #ARGV, step do
    local failure = put(key, unpack(ARGV, first, math.min(first + step - 1, #ARGV)))
    if failure then
      return failure
    end
  end
end

local timelines = #KEYS - marks
for i = 1, timelines do
  local failure = write(KEYS[i])
  if failure and result[2] == 0 then
    result[2], result[3] = i, failure
  end
end
if marks > 0 then
  for i, value in ipairs(call('MGET', unpack(KEYS, timelines + 1))) do
    result[3 + i] = value
  end
end
return result
