-- Set marks: small values that expire.
-- KEYS     the marks; all on this server
-- ARGV[1]  the value;  ARGV[2]  for how many seconds;  ARGV[3]  '1' to set only those that exist
-- Returns  1
for _, key in ipairs(KEYS) do
  if ARGV[3] ~= '1' or redis.call('EXISTS', key) == 1 then
    redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
  end
end
return 1
