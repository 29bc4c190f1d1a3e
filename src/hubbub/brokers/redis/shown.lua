-- KEYS: the topic's members, what is shown of them. Returns who is there, and {member, what is shown of it, ...}.
return {redis.call('HKEYS', KEYS[1]), redis.call('HGETALL', KEYS[2])}
