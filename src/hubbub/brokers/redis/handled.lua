-- KEYS: the log of edges, its numbers. ARGV: the number up to which they have been handled.
local handled = redis.call('HGET', KEYS[2], 'h')
if handled and tonumber(ARGV[1]) > tonumber(handled) then
  redis.call('HSET', KEYS[2], 'h', ARGV[1])
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[1])) do
  redis.call('XDEL', KEYS[1], entry[1])
end
