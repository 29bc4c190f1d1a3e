-- KEYS: the nodes. ARGV: node, facts, ttl in milliseconds.
-- By the server's clock, because the nodes' clocks differ; the whole key goes too when nobody reports any more.
local time = redis.call('TIME')
local expires = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:', expires) .. ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
