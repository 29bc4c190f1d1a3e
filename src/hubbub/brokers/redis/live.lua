-- KEYS: the version of what was declared. ARGV: the version by which nothing of this is kept, channel, message.
-- Returns whether that is still so: else nothing was published.
if (redis.call('GET', KEYS[1]) or '-') ~= ARGV[1] then
  return 0
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
