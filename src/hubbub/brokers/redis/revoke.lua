-- KEYS: until when what is revoked is remembered, its number. ARGV: what, until when in Unix milliseconds, how many are
-- remembered at most, channel, announcement. Returns whether there was room.
may('PUBLISH', ARGV[4], '')
may('ZADD', KEYS[1], 0, '')
may('ZADD', KEYS[2], 0, '')
may('ZREM', KEYS[1], '')
may('ZREM', KEYS[2], '')
may('PEXPIRE', KEYS[1], 1)
may('PEXPIRE', KEYS[2], 1)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A bounded number, so that nobody waits long for what ran out at once.
for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[1], over)
  redis.call('ZREM', KEYS[2], over)
end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and #redis.call('ZRANGE', KEYS[1], ARGV[3] - 1, ARGV[3] - 1) > 0 then
  return 0
end
local number = time[1] * 1000000 + time[2]
local newest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
if newest and newest + 1 > number then
  number = newest + 1
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', number), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
local rest = string.format('%.0f', math.max(1, last - now))
redis.call('PEXPIRE', KEYS[1], rest)
redis.call('PEXPIRE', KEYS[2], rest)
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
