-- Trim a timeline, but for what only the client can decide.
-- Groups that were updated in the same millisecond share a score. Where the edge cuts through them, their ids say which
-- of them go, and these are made of hashes. Activities that share a score are in order, but for ids of two lengths, and
-- negative ones. Where that matters, the run of that score is returned, and the client removes the lowest.
-- KEYS[1]  the timeline
-- ARGV[1]  keep the newest so many, at least one;  ARGV[2]  '1' if the members are the ids themselves
-- Returns  an array: how many went, how many more are to go, then the run they are in as member, score, member, score, ...
local key, keep, of_ids = KEYS[1], tonumber(ARGV[1]), ARGV[2] == '1'
local edge = redis.call('ZREVRANGE', key, keep - 1, keep, 'WITHSCORES')
if #edge < 4 then
  return { 0, 0 }
end
local score = edge[4]

local function in_order()
  if edge[2] ~= score then
    return true
  end
  if not of_ids then
    return false
  end
  local first = redis.call('ZRANGEBYSCORE', key, score, score, 'LIMIT', 0, 1)[1]
  local last = redis.call('ZREVRANGEBYSCORE', key, score, score, 'LIMIT', 0, 1)[1]
  return #first == #last and string.sub(first, 1, 1) ~= '-'
end

if in_order() then
  return { redis.call('ZREMRANGEBYRANK', key, 0, -keep - 1), 0 }
end
local went = redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. score)
local run = redis.call('ZRANGEBYSCORE', key, score, score, 'WITHSCORES')
table.insert(run, 1, redis.call('ZCARD', key) - keep)
table.insert(run, 1, went)
return run
