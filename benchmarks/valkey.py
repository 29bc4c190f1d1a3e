"""Valkey's own publish and subscribe, with nothing of Hubbub: what the hop between workers costs at least.

`python -m benchmarks.valkey URL SUBSCRIBERS SECONDS` prints JSON: from the moment PUBLISH is written to the read that
brought it to the last subscriber, one message at a time. Sockets are read by one loop without asyncio, so that the
reader adds little.
"""

import json
import select
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

_CHANNEL = b"bench"
_CONTENT = 200


def measure(url: str, subscribers: int, seconds: float) -> dict[str, Any]:
    """Milliseconds: p50 and p99 of publish to last subscriber."""
    poll = select.epoll()
    members = {(member := _connect(url)).fileno(): member for _ in range(subscribers)}
    for number, member in members.items():
        member.sendall(_command(b"SUBSCRIBE", _CHANNEL))
        member.recv(4096)
        member.setblocking(False)
        poll.register(number, select.EPOLLIN)
    publisher = _connect(url)
    command = _command(b"PUBLISH", _CHANNEL, b"x" * _CONTENT)
    expected = len(_command(b"message", _CHANNEL, b"x" * _CONTENT))
    taken: list[float] = []
    started = time.perf_counter()
    while (begun := time.perf_counter()) < started + seconds:
        publisher.sendall(command)
        missing = dict.fromkeys(members, expected)
        while missing:
            events = poll.poll(5)
            if not events:
                raise SystemExit("Valkey did not deliver within 5 s.")
            for number, _ in events:
                missing[number] -= len(members[number].recv(65536))
                if missing[number] == 0:
                    del missing[number]
        taken.append(time.perf_counter() - begun)
        publisher.recv(4096)
    taken = sorted(taken[len(taken) // 10 :])
    return {
        "subscribers": subscribers,
        "messages": len(taken),
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[len(taken) * 99 // 100] * 1000,
    }


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(parts.path)
        return connection
    return socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
