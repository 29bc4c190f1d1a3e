-- KEYS: one of the hub's, one of a topic's. ARGV: for how many milliseconds what is written may stay.
-- Does once whatever any other script or command does, so that who may not do it, or cannot, says so here, and not to a
-- message; only PUBLISH is proved otherwise. Returns the first refusal; nothing stays behind.
local hub, topic = KEYS[1], KEYS[2]
local commands = {
  -- First one that adds: a server that is out of memory refuses it, except after a script has begun to write.
  {'SET', hub, 1, 'PX', ARGV[1]},
  {'GET', hub},
  {'INCR', hub},
  {'EXISTS', hub},
  {'DEL', hub},
  {'ZADD', hub, 1, 'member'},
  {'PEXPIRE', hub, ARGV[1]},
  {'PTTL', hub},
  {'ZSCORE', hub, 'member'},
  {'ZRANGE', hub, 0, -1},
  {'ZRANGEBYSCORE', hub, '-inf', 0},
  {'ZREMRANGEBYSCORE', hub, '-inf', 0},
  {'ZREM', hub, 'member'},
  {'HSET', topic, 'field', 1},
  {'PEXPIRE', topic, ARGV[1]},
  {'HINCRBY', topic, 'field', 1},
  {'HGET', topic, 'field'},
  {'HMGET', topic, 'field'},
  {'HGETALL', topic},
  {'HKEYS', topic},
  {'HLEN', topic},
  {'HEXISTS', topic, 'field'},
  {'HDEL', topic, 'field'},
  {'SADD', topic, 'member'},
  {'SRANDMEMBER', topic, 1},
  {'SREM', topic, 'member'},
  {'XADD', topic, 'MAXLEN', '=', 1, '1-0', 'd', ''},
  {'PEXPIRE', topic, ARGV[1]},
  {'XRANGE', topic, '-', '+', 'COUNT', 1},
  {'XREVRANGE', topic, '+', '-', 'COUNT', 1},
  {'XDEL', topic, '1-0'},
  {'DEL', topic},
  {'TIME'},
}
for _, command in ipairs(commands) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    redis.pcall('DEL', hub)
    redis.pcall('DEL', topic)
    return reply
  end
end
return 1
