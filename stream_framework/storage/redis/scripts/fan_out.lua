-- Write the same activities to many timelines, and trim each.
-- KEYS     the timelines (sorted sets), any number; all on this server
-- ARGV[1]  'add' or 'remove'
-- ARGV[2]  keep the newest so many of each, '-1' for all
-- ARGV[3]  for 'add': score, member, score, member, ...; for 'remove': member, member, ...
-- Returns  an array: for each timeline how many entries were new (or were there), or the server's error as a string.
-- Safe to run again. At most 2,000 values after ARGV[2], since they are unpacked onto Lua's stack.
local command = ARGV[1] == 'add' and 'ZADD' or 'ZREM'
local keep = tonumber(ARGV[2])
local result = {}
for i, key in ipairs(KEYS) do
  local reply = redis.pcall(command, key, unpack(ARGV, 3))
  if type(reply) == 'table' then
    result[i] = reply.err
  else
    result[i] = reply
    if keep > 0 and (reply > 0 or command == 'ZREM') then
      redis.call('ZREMRANGEBYRANK', key, 0, -keep - 1)
    end
  end
end
return result
