-- KEYS: the topic's position, what has begun. ARGV: the epoch that was seen, ttl of the position in milliseconds, a new epoch.
-- Returns the position now. The messages stay: they are those of the epoch that goes on.
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch or epoch == ARGV[1] then
  epoch = ARGV[3]
  local time = redis.call('TIME')
  has_begun(KEYS[2], KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[1], 'e', epoch)
end
local top = redis.call('HINCRBY', KEYS[1], 's', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {epoch, top}
