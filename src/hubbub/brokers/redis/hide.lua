-- KEYS: the topic's members, what this holder holds of them, the topics it holds something in, what is shown of them.
-- ARGV: member, topic, holder, channel or '', announcement, a change's three. Returns whether it was the last.
may('EXISTS', KEYS[2])
may('HINCRBY', KEYS[1], ARGV[1], -1)
may('HDEL', KEYS[1], ARGV[1])
if ARGV[4] ~= '' then
  may('PUBLISH', ARGV[4], '')
end
may_show(KEYS[4], ARGV[1], 6)
if redis.call('SREM', KEYS[2], ARGV[1]) == 0 then
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[2])
end
local seen = showing(KEYS[4], ARGV[1], ARGV[3], '', 0)
if redis.call('HINCRBY', KEYS[1], ARGV[1], -1) > 0 then
  tell(seen, 6)
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return 1
