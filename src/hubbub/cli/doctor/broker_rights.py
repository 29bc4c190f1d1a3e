"""Which rights the broker's user lacks: each command is tried, on keys that are gone in a second.

`docs/howto/deploy.md` has the line that gives them; a test holds this list to it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import redis
from redis.exceptions import NoPermissionError, RedisError

from hubbub.cli.doctor.finding import About, Finding

_PAGE = "docs/howto/deploy.md#the-brokers-user"
#: A second: for how long what is left behind by a right that is missing stays.
_STAYS = 1000

#: In this order each finds a key of its own kind. `K` is a key, of a kind of its own for each letter behind it.
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("PING",),
    ("TIME",),
    ("EVAL", "return 1", "0"),
    ("EVALSHA", "0" * 40, "0"),
    ("SET", "Ks", "1", "PX", str(_STAYS)),
    ("GET", "Ks"),
    ("INCR", "Ks"),
    ("EXISTS", "Ks"),
    ("PEXPIRE", "Ks", str(_STAYS)),
    ("PTTL", "Ks"),
    ("HSET", "Kh", "f", "1"),
    ("PEXPIRE", "Kh", str(_STAYS)),
    ("HGET", "Kh", "f"),
    ("HMGET", "Kh", "f"),
    ("HGETALL", "Kh"),
    ("HINCRBY", "Kh", "f", "1"),
    ("HKEYS", "Kh"),
    ("HLEN", "Kh"),
    ("HEXISTS", "Kh", "f"),
    ("HDEL", "Kh", "f"),
    ("SADD", "Ke", "m"),
    ("PEXPIRE", "Ke", str(_STAYS)),
    ("SRANDMEMBER", "Ke", "1"),
    ("SREM", "Ke", "m"),
    ("ZADD", "Kz", "1", "m"),
    ("PEXPIRE", "Kz", str(_STAYS)),
    ("ZSCORE", "Kz", "m"),
    ("ZRANGE", "Kz", "0", "-1"),
    ("ZRANGEBYSCORE", "Kz", "-inf", "0"),
    ("ZREMRANGEBYSCORE", "Kz", "-inf", "0"),
    ("ZREM", "Kz", "m"),
    ("XADD", "Kx", "MAXLEN", "=", "1", "1-0", "d", ""),
    ("PEXPIRE", "Kx", str(_STAYS)),
    ("XRANGE", "Kx", "-", "+"),
    ("XREVRANGE", "Kx", "+", "-"),
    ("XDEL", "Kx", "1-0"),
    ("DEL", "Ks", "Kh", "Ke", "Kz", "Kx"),
    ("PUBLISH", "C", ""),
)


def rights(client: redis.Redis, name: str, db: int) -> Iterator[Finding]:
    """`name`: the hub's. Raises RedisError where the server is gone meanwhile."""
    own = f"hubbub:{{{name}:doctor}}:{uuid4().hex}"
    commands: set[str] = set()
    patterns: set[str] = set()
    unanswered = 0
    tried = (*COMMANDS, ("SUBSCRIBE", "C"), *([("SELECT", str(db))] if db else []))
    for words in tried:
        try:
            _try(client, [own + word[1:] if word[:1] in ("K", "C") and len(word) < 3 else word for word in words])
        except NoPermissionError as error:
            right = lacking(str(error), words[0])
            (commands if right.startswith("+") else patterns).add(right)
        except redis.ConnectionError:
            raise
        except RedisError:
            unanswered += 1  # of another kind: what it means is told by the message that has to come back
    missing = [*sorted(patterns), *sorted(commands)]
    if missing:
        said = "the broker's user may not all that a worker does"
        yield Finding(About.BROKER_RIGHTS, "wrong", said, f"ACL SETUSER …: {' '.join(missing)} ({_PAGE})")
    elif unanswered:
        said = f"nothing is refused; but {unanswered} of {len(tried)} commands fail for another reason"
        yield Finding(About.BROKER_RIGHTS, "weak", said, "first what is wrong with the broker, and then doctor again")
    else:
        yield Finding(About.BROKER_RIGHTS, "ok", f"all of {len(tried)} commands, keys and channels")


def lacking(refusal: str, command: str) -> str:
    """What a refusal says that is missing. Redis 6 says "one of the keys used as arguments", later ones "a key"."""
    for what, pattern in (("key", "~hubbub:*"), ("channel", "&hubbub:*")):
        if re.search(rf"access (a|one of the|the '.*') {what}", refusal):
            return pattern
    return f"+{command.lower()}"


def _try(client: redis.Redis, words: list[str]) -> None:
    if words[0] != "SUBSCRIBE":
        with suppress(redis.exceptions.NoScriptError):
            client.execute_command(*words)  # type: ignore[no-untyped-call]
        return
    with client.pubsub() as listening:  # type: ignore[no-untyped-call]
        listening.subscribe(words[1])
        listening.get_message(timeout=2.0)
