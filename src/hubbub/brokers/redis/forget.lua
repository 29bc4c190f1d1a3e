-- KEYS: the topic's position, its stream. ARGV: channel, message. The history that was ends before what is not kept goes
-- out: a position from then is to be known as one that was lost, should anything be kept again.
may('PUBLISH', ARGV[1], '')
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
