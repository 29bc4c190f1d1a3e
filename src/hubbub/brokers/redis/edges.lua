-- KEYS: the log of edges, its numbers, whether somebody asked for it. ARGV: limit, for how many milliseconds it counts as
-- asked for. Returns how many were ever logged, up to which of them they were handled, and {{id, fields}, ...}.
-- Said again only after a hundredth of its time, so that asking writes nothing mostly.
if redis.call('PTTL', KEYS[3]) < ARGV[2] * 0.99 then
  redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
end
local counts = redis.call('HMGET', KEYS[2], 'c', 'h')
return {counts[1] or '0', counts[2] or '0', redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])}
