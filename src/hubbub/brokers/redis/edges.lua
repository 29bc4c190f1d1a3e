-- KEYS: the log of edges, its numbers, whether somebody asked for it. ARGV: limit, for how many milliseconds it counts as
-- asked for. Returns the newest number and the newest that was handled, where they are known, and {{id, fields}, ...}.
-- Said again only after half of its time, so that asking writes nothing mostly.
if redis.call('PTTL', KEYS[3]) < ARGV[2] / 2 then
  redis.call('SET', KEYS[3], 1, 'PX', ARGV[2])
end
local numbers = redis.call('HMGET', KEYS[2], 'n', 'h')
return {numbers[1], numbers[2], redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])}
