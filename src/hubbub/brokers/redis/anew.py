"""Every history of a server begins a new epoch: for a server of which nobody knows whether it lost its last messages.

What is kept stays, and is handed to whoever asks without a position. Who comes with one is told that it cannot be made
good, because an offset that was given before the loss may be another message's by now.
"""

import re

from redis import Redis

from hubbub.brokers.redis.publishing import new_epoch
from hubbub.ports.epochs import BEGUN_KNOWN, DAY

_COUNT = 1000
#: Seconds, as in `begun.lua`; whoever reads says so again.
_BEGUN_KEPT = int(BEGUN_KNOWN + DAY)
# Of any hub's: the position of a topic, and the name of what is not lost. What an application chose has no braces.
_META, _BEGUN = re.compile(rb"hubbub:\{[^}]*\}:meta"), re.compile(rb"hubbub:\{[^}]*\}:begun")


def begin_anew(path: str) -> None:
    """Of the server at that socket, which nobody else uses. Raises RedisError."""
    with Redis(unix_socket_path=path) as client:
        [memory] = client.config_get("maxmemory").values()
        # One that is full would refuse it.
        client.config_set("maxmemory", 0)
        try:
            for key in client.scan_iter(match="hubbub:{*}:*", count=_COUNT):
                if _META.fullmatch(key):
                    client.hset(key, "e", new_epoch())
                elif _BEGUN.fullmatch(key):
                    client.delete(key)
                    client.zadd(key, {new_epoch(): "+inf"})
                    client.expire(key, _BEGUN_KEPT)
        finally:
            client.config_set("maxmemory", memory)
