-- KEYS: the nodes. Returns node, facts, node, facts, ... and removes who has expired.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('HGETALL', KEYS[1])
local living = {}
for i = 1, #entries, 2 do
  local colon = string.find(entries[i + 1], ':', 1, true)
  if tonumber(string.sub(entries[i + 1], 1, colon - 1)) > now then
    living[#living + 1] = entries[i]
    living[#living + 1] = string.sub(entries[i + 1], colon + 1)
  else
    redis.call('HDEL', KEYS[1], entries[i])
  end
end
return living
