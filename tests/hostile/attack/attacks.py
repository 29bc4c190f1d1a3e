"""The attacks, each a value: what a socket sends first, what it says once it was let in, and what then for ever.

Whoever is closed comes back after `pause`, as an attacker does, by as many sockets as before. The credentials are good
but where an attack is about those: who is let in can do most.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.hostile.attack.wire import CONT, PING, PONG, TEXT, frame, handshake, text

ROOMS = 10
#: Where the users are and talk, with presence; and where messages are kept.
TALK, KEPT = "talk:{}", "kept:{}"

#: What is sent again and again is handed to the kernel in pieces of about so many bytes.
_PIECE = 256 * 1024
#: The largest message that a hub takes by default.
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    port: int
    tokens: tuple[str, ...]

    def let_in(self, number: int, **headers: str) -> bytes:
        return handshake(f"/ws?token={self.tokens[number % len(self.tokens)]}", **headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What each of `sockets` does.

    opening: the first bytes of the socket with this number. then: what follows once the handshake was answered.
    again: what follows after that, in a loop; `every` so many seconds, 0 for as fast as it is taken.
    asks: `again` does not wait for an answer, because there is no handshake. reads: whatever comes.
    leaves: closes as soon as it was let in. stays: until the server lets go, also where it was closed with a code.
    buffer: bytes the kernel takes for it before it reads. pause: seconds until the next socket in its place.
    environment: of the server. bounded: HTTP statuses, close codes, codes of errors; one of them is the answer.
    """

    name: str
    says: str
    sockets: int
    opening: Callable[[Target, int], bytes] = Target.let_in
    then: bytes = b""
    again: bytes = b""
    every: float = 0.0
    asks: bool = False
    reads: bool = True
    leaves: bool = False
    stays: bool = False
    buffer: int | None = None
    pause: float = 0.1
    environment: Mapping[str, str] = field(default_factory=dict)
    bounded: frozenset[int | str] = frozenset()


def _many(piece: bytes) -> bytes:
    return piece * max(1, _PIECE // len(piece))


def _said(opening: bytes) -> Callable[[Target, int], bytes]:
    return lambda target, number: opening


def _silent(target: Target, number: int) -> bytes:
    """One half says nothing at all, the other is a WebSocket that brings no credential."""
    return handshake("/ws") if number % 2 else b""


def _refused(target: Target, number: int) -> bytes:
    """A browser's is accepted, so that it can read the code it is closed with; the other half is answered by 401."""
    return handshake("/ws?token=bad.bad.bad", **({"Origin": "http://127.0.0.1"} if number % 2 else {}))


@functools.cache
def _large_head() -> bytes:
    headers = (b"X-%05d: %s\r\n" % (number, b"a" * 1000) for number in range(38_000))
    return b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(headers)


def _garbage(target: Target, number: int) -> bytes:
    kinds = (
        handshake("/ws").replace(b"Host: ", b"Ho st: "),
        handshake("/ws", Sec_WebSocket_Key="short"),
        handshake("/ws", Sec_WebSocket_Version="8"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET /ws HTTP/9.9\r\n\r\n",
        b"\x00" * 300 + b"\r\n\r\n",
    )
    return kinds[number % len(kinds)]


_NODES = b'{"type":"say","room":"talk:0","x":[' + b"{}," * ((_LARGEST - 100) // 3) + b"{}]}"
_LARGE = text(type="say", room=TALK.format(0), text="x" * 60_000)
_JOINS = b"".join(text(type="join_room", room=TALK.format(number)) for number in range(ROOMS))
_AGAIN = text(type="join_room", room=KEPT.format(0), since={"offset": 0})
_POST = b"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_BODY = _POST.replace(b"{path}", b"/api/messages") + b"Content-Length: 300000000\r\n\r\n"
_H2C = (
    _POST.replace(b"{path}", b"/body").replace(b"\r\nContent", b"\r\nConnection: Upgrade, HTTP2-Settings\r\nContent", 1)
    + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 13\r\n\r\n"
    + b'{"type":"h2"}'
)
_ASKS = _many(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Attack(
            name="ping",
            says="a flood of `ping` messages",
            sockets=8,
            again=_many(text(type="ping", ts=1)),
            bounded=frozenset({1008}),
        ),
        Attack(
            name="pong",
            says="a flood of `pong` messages",
            sockets=8,
            again=_many(text(type="pong")),
            bounded=frozenset({1008}),
        ),
        Attack(
            name="ping_frames",
            says="a flood of ping frames",
            sockets=8,
            again=_many(frame(PING, b"x" * 100)),
            bounded=frozenset({1008}),
        ),
        Attack(
            name="pong_frames",
            says="a flood of pong frames",
            sockets=8,
            again=_many(frame(PONG)),
            bounded=frozenset({1008}),
        ),
        Attack(
            name="fragments",
            says="one message in empty fragments, without an end",
            sockets=8,
            then=frame(TEXT, fin=False),
            again=_many(frame(CONT, fin=False)),
            bounded=frozenset({1008}),
        ),
        Attack(
            name="json",
            says="64 KiB of `[{},{},…]`, 98 a second",
            sockets=8,
            again=frame(TEXT, _NODES),
            every=1 / 98,
            bounded=frozenset({1008, "rate_limited", "invalid_message"}),
        ),
        Attack(
            name="json_fast",
            says="64 KiB of `[{},{},…]`, as fast as it is taken",
            sockets=8,
            again=_many(frame(TEXT, _NODES)),
            bounded=frozenset({1008, "rate_limited", "invalid_message"}),
        ),
        Attack(
            name="large",
            says="60 kB to a room of users, 98 a second",
            sockets=2,
            then=_JOINS,
            again=_LARGE,
            every=1 / 98,
        ),
        Attack(
            name="rejoin",
            says="joins with `since: 0` of a room that keeps 300 kB, in a loop",
            sockets=8,
            again=_many(_AGAIN),
            bounded=frozenset({1008, "rate_limited"}),
        ),
        Attack(
            name="connects",
            says="connects and leaves, and everybody is told",
            sockets=8,
            leaves=True,
            pause=0.0,
            environment={"ATTACK_ANNOUNCE": "1"},
        ),
        Attack(
            name="tokens",
            says="handshakes with refused tokens, half of them a browser's",
            sockets=32,
            opening=_refused,
            stays=True,
            pause=0.0,
            bounded=frozenset({401, 4001, 429, 503}),
        ),
        Attack(
            name="silent",
            says="2,000 silent sockets, half of them WebSockets without a credential",
            sockets=2_000,
            opening=_silent,
            bounded=frozenset({4002, 503}),
        ),
        Attack(
            name="stalled",
            says="100 members of the users' rooms that read nothing, and ping",
            sockets=100,
            then=_JOINS,
            again=text(type="ping", ts=1),
            every=1 / 50,
            reads=False,
            buffer=4096,
        ),
        Attack(
            name="slow_head",
            says="500 heads of which a byte comes every half second",
            sockets=500,
            opening=_said(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "),
            again=b"x",
            every=0.5,
            asks=True,
            bounded=frozenset({408, 431}),
        ),
        Attack(
            name="big_head",
            says="heads of 38 MB",
            sockets=2,
            opening=lambda target, number: _large_head(),
            bounded=frozenset({431}),
        ),
        Attack(
            name="garbage",
            says="handshakes that cannot be parsed, or are none",
            sockets=12,
            opening=_garbage,
            pause=0.0,
            bounded=frozenset({400, 426}),
        ),
        Attack(
            name="h2c",
            says="`POST` with `Upgrade: h2c`",
            sockets=8,
            opening=_said(_H2C),
            pause=0.0,
            bounded=frozenset({200, 400}),
        ),
        Attack(
            name="body",
            says="bodies of 300 MB for the publishing routes, without a key",
            sockets=2,
            opening=_said(_BODY),
            again=b"x" * _PIECE,
            asks=True,
            bounded=frozenset({401, 413}),
        ),
        Attack(
            name="unread",
            says="pipelined requests for 1 MB each, of which no answer is read",
            sockets=50,
            opening=_said(b""),
            again=_ASKS,
            asks=True,
            reads=False,
            buffer=4096,
        ),
    )
}
