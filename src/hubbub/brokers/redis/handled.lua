-- KEYS: the log of edges, its numbers. ARGV: the number up to which they have been handled.
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[1])) do
  redis.call('HSET', KEYS[2], 'h', entry[2][10])
  redis.call('XDEL', KEYS[1], entry[1])
end
