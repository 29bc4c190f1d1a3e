-- KEYS: the leases that ran out, the topic's members, what this holder holds of them, the topics it holds something in,
-- what is shown of them, an edge's. ARGV: holder, topic, an edge's four, then of each member: itself, channel or '',
-- announcement, a change's three.
-- Returns for each whether it was the last: 0 for all where the holder is alive again, or was never dead.
may('HINCRBY', KEYS[2], '', -1)
may('HDEL', KEYS[2], '')
for i = 8, #ARGV, 6 do
  if ARGV[i] ~= '' then
    may('PUBLISH', ARGV[i], '')
  end
  may_show(KEYS[5], '', i + 2)
end
local logs = may_edge(6, 3)
local lasts, alive = {}, not redis.call('ZSCORE', KEYS[1], ARGV[1])
for i = 7, #ARGV, 6 do
  local last = 0
  if not alive and redis.call('SREM', KEYS[3], ARGV[i]) == 1 then
    local seen = showing(KEYS[5], ARGV[i], ARGV[1], '', 0)
    if redis.call('HINCRBY', KEYS[2], ARGV[i], -1) <= 0 then
      last = 1
      redis.call('HDEL', KEYS[2], ARGV[i])
      edge(logs, 6, 3, ARGV[2], ARGV[i], 0)
      if ARGV[i + 1] ~= '' then
        redis.call('PUBLISH', ARGV[i + 1], ARGV[i + 2])
      end
    else
      tell(seen, i + 3)
    end
  end
  lasts[#lasts + 1] = last
end
if not alive and redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('SREM', KEYS[4], ARGV[2])
end
return lasts
