-- KEYS: the topic's position, its stream, what has begun. ARGV: size, ttl of messages and position in milliseconds, a new epoch, limit,
-- whether newest first, after which offset (newest first: before which) or ''.
-- Returns epoch, offset of the newest ever, then offset, message, offset, message, ...
local meta = redis.call('HMGET', KEYS[1], 'e', 's')
local epoch, top = meta[1], tonumber(meta[2] or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not epoch then
  epoch = unbegun(KEYS[3], KEYS[1], ARGV[4], now)
  if epoch then
    redis.pcall('PEXPIRE', KEYS[3], begun_known + begun_day)
    return {epoch, 0}
  end
  epoch, top = ARGV[4], 0
  redis.call('HSET', KEYS[1], 'e', epoch, 's', 0)
end
-- A server that may not write still has what is kept.
redis.pcall('PEXPIRE', KEYS[1], ARGV[3])
local young = now - ARGV[2]
local limit, reverse = tonumber(ARGV[5]), ARGV[6] == '1'
local first, last = math.max(1, top - ARGV[1] + 1), top
if ARGV[7] ~= '' and reverse then
  last = math.min(last, ARGV[7] - 1)
elseif ARGV[7] ~= '' then
  first = math.max(first, ARGV[7] + 1)
end
local found, left = {epoch, top}, limit
-- More than once only where the oldest are too old, which publishing removes.
while left > 0 and first <= last do
  local low, high = string.format('%.0f', first), string.format('%.0f', last)
  local entries
  if reverse then
    entries = redis.call('XREVRANGE', KEYS[2], high, low, 'COUNT', left)
  else
    entries = redis.call('XRANGE', KEYS[2], low, high, 'COUNT', left)
  end
  for _, entry in ipairs(entries) do
    local offset = tonumber(string.match(entry[1], '^%d+'))
    first, last = reverse and first or offset + 1, reverse and offset - 1 or last
    if tonumber(entry[2][4]) > young then
      found[#found + 1] = offset
      found[#found + 1] = entry[2][2]
      left = left - 1
    elseif reverse then
      last = 0
      break
    end
  end
  if #entries == 0 then
    break
  end
end
return found
