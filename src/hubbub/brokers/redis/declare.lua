-- KEYS: what was declared, its version, what a release before this one declared.
-- ARGV: a declaration or '' to read alone, a new version; in milliseconds, after which it is said again, for how long who
-- said it counts as living, and for how long it is remembered at all.
-- Returns the version, whether nobody who lives had said so, now, and {declaration, when it was said last, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local version, fresh = redis.call('GET', KEYS[2]), 0
if ARGV[1] ~= '' then
  local said = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not version or not said or now - said > tonumber(ARGV[3]) then
    -- Removed first: a server that is out of memory refuses to add, except after a script has begun to write.
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[5])
    if not version or not said or now - said > tonumber(ARGV[4]) then
      fresh, version = 1, ARGV[2]
      redis.call('SET', KEYS[2], version)
    end
    redis.call('ZADD', KEYS[1], now, ARGV[1])
  end
end
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
if #found == 0 then
  local before = redis.call('GET', KEYS[3])
  if before then
    found = {before, string.format('%.0f', now)}
  end
end
return {version or '-', fresh, string.format('%.0f', now), found}
