-- KEYS: the leases, those that ran out. ARGV: limit, for how many milliseconds a holder whose lease ran out is
-- remembered as one, what the keys begin with of what a holder holds: its topics; its members in a topic; how many
-- milliseconds ago a lease ran out at least.
-- Returns holder, topic, members, holder, topic, members, ...
may('ZADD', KEYS[2], 0, '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local upto = now - ARGV[5]
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', upto, 'WITHSCORES')
-- Removed first: a server that is out of memory refuses to add, except after a script has begun to write.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', upto)
for i = 1, #ended, 2 do
  redis.call('ZADD', KEYS[2], ended[i + 1], ended[i])
end
local found, left = {}, tonumber(ARGV[1])
local holders = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', upto, 'WITHSCORES')
for i = 1, #holders, 2 do
  local holder = holders[i]
  local topics = redis.call('SRANDMEMBER', ARGV[3] .. holder, left)
  if #topics == 0 and tonumber(holders[i + 1]) <= now - ARGV[2] then
    redis.call('ZREM', KEYS[2], holder)
  end
  for _, topic in ipairs(topics) do
    local members = redis.call('SRANDMEMBER', ARGV[4] .. topic .. '}:of:' .. holder, left)
    if #members == 0 then
      redis.call('SREM', ARGV[3] .. holder, topic)
    else
      found[#found + 1], found[#found + 2], found[#found + 3] = holder, topic, members
      left = left - #members
    end
    if left == 0 then
      return found
    end
  end
end
return found
