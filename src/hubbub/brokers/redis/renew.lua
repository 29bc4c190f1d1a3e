-- KEYS: the leases, those that ran out. ARGV: holder, ttl in milliseconds. Returns whether it ran out, and was known.
-- Removed first: a server that is out of memory refuses to add, except after a script has begun to write.
may('ZADD', KEYS[1], 0, '')
local lapsed = redis.call('ZREM', KEYS[2], ARGV[1])
local known = redis.call('ZREM', KEYS[1], ARGV[1])
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
return {lapsed, known}
