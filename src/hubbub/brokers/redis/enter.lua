-- KEYS: the topic's members, what this holder holds of them. ARGV: member, channel or '', announcement.
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then
  return 0
end
if redis.call('HINCRBY', KEYS[1], ARGV[1], 1) > 1 then
  return 0
end
if ARGV[2] ~= '' then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 1
