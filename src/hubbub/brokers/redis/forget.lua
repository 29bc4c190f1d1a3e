-- KEYS: the topic's position, its stream, what has begun. ARGV: channel, message. The history that was ends before what
-- is not kept goes out: a position from then is to be known as one that was lost, should anything be kept again.
may('PUBLISH', ARGV[1], '')
may('ZADD', KEYS[3], 0, '')
redis.call('DEL', KEYS[1], KEYS[2])
-- So is one from before anything was kept.
local time = redis.call('TIME')
has_begun(KEYS[3], KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('PUBLISH', ARGV[1], ARGV[2])
