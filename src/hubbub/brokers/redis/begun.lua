-- Before the scripts that call it. Which topics' histories began lately, by the key of their position, so that one that
-- was lost is known to have been there; and last, at infinity, the name of what the server has not lost (`ports/epochs.py`).
local begun_day, begun_known, begun_most = 86400000, 172800000, 250000

-- The epoch that a topic has which nothing was said in: nil where something was, and is lost.
local function unbegun(begun, topic, fresh, now)
  if redis.call('ZSCORE', begun, topic) then
    return nil
  end
  local life = redis.call('ZRANGEBYSCORE', begun, '+inf', '+inf')[1]
  if not life then
    life = fresh
    redis.call('ZADD', begun, '+inf', life)
  end
  return life .. string.format('-%.0f', math.floor(now / begun_day))
end

local function has_begun(begun, topic, now)
  -- First what adds: a server that is out of memory refuses it, except after a script has begun to write.
  redis.call('ZADD', begun, now, topic)
  redis.call('ZREMRANGEBYSCORE', begun, '-inf', string.format('%.0f', now - begun_known))
  if redis.call('ZRANGE', begun, begun_most, begun_most)[1] then
    -- Clients may bring about as many as they like. What is forgotten has no name in common with what comes.
    redis.call('DEL', begun)
    redis.call('ZADD', begun, now, topic)
  end
  redis.call('PEXPIRE', begun, begun_known + begun_day)
end
