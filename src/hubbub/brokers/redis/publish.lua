-- KEYS: the topic's position, its stream, what has begun, and what an idempotency key stood for, where there is one.
-- ARGV: channel, size, ttl of messages, position and idempotency key in milliseconds, what a position begins with,
-- a new epoch, messages. Returns epoch:offset of the first of them.
if KEYS[4] then
  local seen = redis.call('GET', KEYS[4])
  if seen then
    return seen
  end
end
may('PUBLISH', ARGV[1], '')
may('XADD', KEYS[2], '*', 'd', '')
if KEYS[4] then
  may('SET', KEYS[4], '')
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch then
  may('DEL', KEYS[2])
  may('ZADD', KEYS[3], 0, '')
  epoch = unbegun(KEYS[3], KEYS[1], ARGV[7], now) or ARGV[7]
  has_begun(KEYS[3], KEYS[1], now)
  redis.call('HSET', KEYS[1], 'e', epoch, 's', 0)
end
local before = redis.call('HINCRBY', KEYS[1], 's', #ARGV - 7) - #ARGV + 7
if before == 0 then
  -- What an earlier life left: its offsets would not let new ones in.
  redis.call('DEL', KEYS[2])
end
for i = 8, #ARGV do
  local offset = string.format('%.0f', before + i - 7)
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[2], offset .. '-0', 'd', ARGV[i], 't', now)
  redis.call('PUBLISH', ARGV[1], table.concat({ARGV[6], epoch, ':', offset, ':', ARGV[i]}))
end
local first = epoch .. string.format(':%.0f', before + 1)
if KEYS[4] then
  redis.call('SET', KEYS[4], first, 'PX', ARGV[5])
end
-- A bounded number, so that nobody waits for all that a burst left; what is too old is not read in any case.
for _ = 1, 100 do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if not oldest or now - oldest[2][4] < tonumber(ARGV[3]) then
    break
  end
  redis.call('XDEL', KEYS[2], oldest[1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return first
