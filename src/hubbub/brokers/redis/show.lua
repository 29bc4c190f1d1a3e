-- KEYS: the topic's members, what this holder holds of them, the topics it holds something in, what is shown of them.
-- ARGV: member, topic, holder, data, its place or '', channel or '', announcement, a change's three.
-- Returns whether it is the first, and the place.
may('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[6] ~= '' then
  may('PUBLISH', ARGV[6], '')
end
may_show(KEYS[4], ARGV[1], 8)
local first = 0
if redis.call('SADD', KEYS[2], ARGV[1]) == 1 then
  redis.call('SADD', KEYS[3], ARGV[2])
  if redis.call('HINCRBY', KEYS[1], ARGV[1], 1) == 1 then
    first = 1
    -- What one may have left who did not know of it.
    redis.call('HDEL', KEYS[4], ARGV[1])
  end
end
local seen, place = showing(KEYS[4], ARGV[1], ARGV[3], ARGV[4], ARGV[5])
if first == 1 and ARGV[6] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
else
  tell(seen, 8)
end
return {first, string.format('%.0f', place)}
