-- KEYS: the topic's members, what this holder holds of them, the topics it holds something in, an edge's.
-- ARGV: member, topic, channel or '', announcement, an edge's.
may('EXISTS', KEYS[2])
may('HINCRBY', KEYS[1], ARGV[1], -1)
may('HDEL', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then
  may('PUBLISH', ARGV[3], '')
end
local logs = may_edge(4, 5)
if redis.call('SREM', KEYS[2], ARGV[1]) == 0 then
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[2])
end
if redis.call('HINCRBY', KEYS[1], ARGV[1], -1) > 0 then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
edge(logs, 4, 5, ARGV[2], ARGV[1], 0)
if ARGV[3] ~= '' then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return 1
