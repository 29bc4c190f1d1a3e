-- Before the scripts that call it. What holders show of a member stands in one field, the newest first, for each of them
-- its place, the holder, the length of the data, and the data. `at`: where in ARGV a change begins: channel or '', what
-- stands before and after what is seen.
local function may_show(key, member, at)
  may('TIME')
  may('HGET', key, member)
  may('HSET', key, member, '')
  may('HDEL', key, member)
  if ARGV[at] ~= '' then
    may('PUBLISH', ARGV[at], '')
  end
end

-- `seen` is what `showing` returned.
local function tell(seen, at)
  if seen and ARGV[at] ~= '' then
    redis.call('PUBLISH', ARGV[at], table.concat({ARGV[at + 1], seen ~= '' and seen or '{}', ARGV[at + 2]}))
  end
end

-- `holder` shows this of the member, nothing where that is '', at its place, or as the newest where that is ''.
-- Returns what is seen of the member now, or nil where that is what was seen before, and the place.
local function showing(key, member, holder, data, place)
  local value, first, others, at = redis.call('HGET', key, member) or '', nil, {}, 1
  while at <= #value do
    local number, whose, length, start = string.match(value, '^(%d+) (%S*) (%d+) ()', at)
    at = start + length
    local entry = {tonumber(number), whose, string.sub(value, start, at - 1)}
    first = first or entry
    if whose ~= holder then
      others[#others + 1] = entry
    end
  end
  if place == '' then
    -- By the clock, so that it is newer than what others say again who were told their places before all was forgotten.
    local time = redis.call('TIME')
    place = math.max(time[1] * 1000 + math.floor(time[2] / 1000), first and first[1] + 1 or 0)
  end
  place = tonumber(place)
  if data ~= '' then
    local before = 1
    while others[before] and others[before][1] > place do
      before = before + 1
    end
    table.insert(others, before, {place, holder, data})
  end
  if #others > 0 then
    local parts = {}
    for i, entry in ipairs(others) do
      parts[i] = string.format('%.0f %s %d ', entry[1], entry[2], #entry[3]) .. entry[3]
    end
    redis.call('HSET', key, member, table.concat(parts))
  elseif first then
    redis.call('HDEL', key, member)
  end
  local was, is = first and first[3] or '', others[1] and others[1][3] or ''
  return was ~= is and is or nil, place
end
