-- Before the scripts that call it. Somebody's first holder or last, kept until it is handled, in the step that decides it.
-- `at`: where in KEYS its own begin, if there are any: the log, its numbers, whether somebody asked for it; when a member
-- left. `from`: where in ARGV its own begin: whether to log ('' where that was asked for), how many are kept, for how
-- many milliseconds; for how many it is known when a member left.
local function may_edge(at, from)
  local logs = KEYS[at] and (ARGV[from] == '1' or ARGV[from] == '' and redis.call('EXISTS', KEYS[at + 2]) == 1)
  if KEYS[at] then
    may('TIME')
  end
  if logs then
    may('DEL', KEYS[at])
    may('HGET', KEYS[at + 1], 'n')
    may('HSET', KEYS[at + 1], 'n', 0)
    may('HINCRBY', KEYS[at + 1], 'c', 1)
    may('XADD', KEYS[at], '*', 't', '')
    may('PEXPIRE', KEYS[at], 1)
  end
  if KEYS[at + 3] then
    may('ZADD', KEYS[at + 3], 0, '')
    may('ZREMRANGEBYSCORE', KEYS[at + 3], '-inf', 0)
    may('PEXPIRE', KEYS[at + 3], 1)
  end
  return logs
end

local function edge(logs, at, from, topic, member, here)
  if not KEYS[at] then
    return
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if logs then
    local count = redis.call('HINCRBY', KEYS[at + 1], 'c', 1)
    if count == 1 then
      -- What a life that was lost has left.
      redis.call('DEL', KEYS[at])
    end
    -- By the clock, so that none is given again by a server that forgot, or has the state of an older replica.
    local newest = tonumber(redis.call('HGET', KEYS[at + 1], 'n') or 0)
    local number = string.format('%.0f', math.max(newest + 1, time[1] * 1000000 + time[2]))
    redis.call('HSET', KEYS[at + 1], 'n', number)
    redis.call('XADD', KEYS[at], 'MAXLEN', '=', ARGV[from + 1], number .. '-0', 't', topic, 'm', member, 'h', here, 'at',
      now, 'c', count)
    redis.call('PEXPIRE', KEYS[at], ARGV[from + 2])
    redis.call('PEXPIRE', KEYS[at + 1], ARGV[from + 2])
  end
  if KEYS[at + 3] then
    redis.call('ZREMRANGEBYSCORE', KEYS[at + 3], '-inf', now - ARGV[from + 3])
    redis.call('ZADD', KEYS[at + 3], now, member)
    redis.call('PEXPIRE', KEYS[at + 3], ARGV[from + 3])
  end
end
