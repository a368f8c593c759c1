-- Trim a timeline of groups, but for what only the client can decide.
-- Groups that were updated in the same millisecond share a score. Where the edge cuts through them, their ids say which
-- of them go, and these are made of hashes: such a run is returned, and the client removes the lowest.
-- KEYS[1]  the timeline
-- ARGV[1]  keep the newest so many, at least one
-- Returns  an array: how many went, how many more are to go, then the run they are in as member, score, member, score, ...
local key, keep = KEYS[1], tonumber(ARGV[1])
local edge = redis.call('ZREVRANGE', key, keep - 1, keep, 'WITHSCORES')
if #edge < 4 then
  return { 0, 0 }
end
if edge[2] ~= edge[4] then
  return { redis.call('ZREMRANGEBYRANK', key, 0, -keep - 1), 0 }
end
local went = redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. edge[2])
local run = redis.call('ZRANGEBYSCORE', key, edge[2], edge[2], 'WITHSCORES')
table.insert(run, 1, redis.call('ZCARD', key) - keep)
table.insert(run, 1, went)
return run
