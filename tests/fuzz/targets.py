"""What must hold of any bytes. A target takes some, and raises where it does not hold.

Two ways to do one thing must come to the same: bytes at once or in pieces, the accelerator or its twin in Python, the
fast path or the strict one. Nothing of them may raise but what its docstring says.
"""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from hubbub.errors import InvalidMessage
from hubbub.options import Limits
from hubbub.protocol import codec, fast_path, frames, session
from hubbub.protocol.codec import decode, encode
from hubbub.protocol.deflate import Inflate
from hubbub.protocol.envelope import Envelope, UnknownEnvelope, join, parted, split, with_trace
from hubbub.protocol.frames import Broken, Closing, Item, Parser, python_text_frames
from hubbub.protocol.masking import unmask, xor
from hubbub.protocol.session import Answer, End, Session, State
from hubbub.protocol.trace_context import read
from hubbub.transports.accelerator import python_send_all, python_send_each

Target = Callable[[bytes], None]

PYTHON = SimpleNamespace(
    texts=fast_path.python_texts,
    plain=fast_path.python_plain,
    typed=fast_path.python_typed,
    written=fast_path.python_written,
    acknowledged=fast_path.python_acknowledged,
    text_frames=python_text_frames,
)
#: Nothing has a fast path: all goes the strict way.
STRICT = SimpleNamespace(texts=lambda data, at, *_: at, plain=lambda _: None, typed=lambda _: None)
C: Any = fast_path.ACCELERATOR
WAYS = [STRICT, PYTHON] if C is None else [STRICT, PYTHON, C]


@contextlib.contextmanager
def instead(module: ModuleType, **names: Any) -> Iterator[None]:
    """As `unittest.mock.patch.multiple`, which takes longer than all that is tried."""
    there = {name: getattr(module, name) for name in names}
    for name, value in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in there.items():
            setattr(module, name, value)


# Frames.


def parse(data: bytes, size: int, parser: Parser) -> list[Item]:
    found: list[Item] = []
    for at in range(0, len(data), size):
        found += parser.feed(data[at : at + size])
        while getattr(parser, "more", False):
            found += parser.feed(b"")
    return found


def spelt(recipe: bytes) -> bytes:
    """Frames by a recipe, so that chance has less to guess: first byte, length, mask or none, payload."""
    sent, at = b"", 0
    while at + 2 <= len(recipe):
        first, size = recipe[at], recipe[at + 1]
        payload = recipe[at + 2 : at + 2 + size % 64] * (1 + size // 64 * 21)
        at += 2 + size % 64
        length = len(payload)
        sent += bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0xFE)) + length.to_bytes(2, "big")
        mask = bytes((size, first, 7, 0)) if size % 2 else bytes(4)
        sent += mask + unmask(payload, mask)
    return sent


def read_frames(data: bytes) -> None:
    """The parser reads the same in pieces of any size and by any way, within its bounds, and nothing after an end."""
    if len(data) < 2:
        return
    how, rest = data[0], data[2:]
    limit = (0, 5, 125, 700)[how & 3]
    sent = spelt(rest) if how & 8 else rest
    size = max(data[1], len(sent) // 64, 1)
    outcomes = []
    for way in WAYS:
        for pieces in (size, max(1, len(sent))):
            parser = Parser(limit=limit, inflate=Inflate(9 + how % 7) if how & 4 else None, fragments=6)
            with instead(frames, texts=way.texts):
                found = parse(sent, pieces, parser)
                assert all(len(item) <= limit for item in found if isinstance(item, str | bytes)), found
                ended = [isinstance(item, Closing | Broken) for item in found]
                assert not any(ended[:-1]), found
                if ended and ended[-1]:
                    assert not parser.assembling
                    assert parser.feed(b"\x81\x80\0\0\0\0") == []
            outcomes.append((found, parser.assembling))
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
    mask = data[:2] * 2
    assert xor(rest, mask) == unmask(rest, mask)


# JSON.


def text_of(data: bytes) -> str:
    """Any text that Python can hold, as a server may hand it over."""
    return data.decode("utf-8", "surrogatepass" if data[:1] < b"\x80" else "replace")


def read_json(data: bytes) -> None:
    """What is read is what Python's own reader reads, the same by every way; what is refused can be sent back."""
    try:
        text = text_of(data)
    except UnicodeDecodeError:
        return
    outcomes: list[Any] = []
    for way in WAYS:
        with instead(codec, plain=way.plain):
            try:
                outcomes.append(decode(text, depth=8))
            except InvalidMessage as refused:
                outcomes.append((refused.message, refused.field))
        quick = way.typed(text)
        if quick is not None:
            assert same(quick[1], outcomes[-1]), quick
            assert quick[0] == quick[1]["type"]
            assert same(quick[2], quick[1].get("id"))
    assert all(same(outcome, outcomes[0]) for outcome in outcomes), outcomes
    fields = outcomes[0]
    if isinstance(fields, tuple):
        encode({"message": fields[0], "field": fields[1]})
        return
    assert same(json.loads(text), fields)
    written = encode(fields)
    assert same(decode(written.decode(), depth=8), fields)
    for way in WAYS[1:]:
        with instead(codec, written=way.written):
            assert encode(fields) == written
        acknowledged = way.acknowledged(7, fields)
        assert acknowledged in (None, encode({"type": "ack", "result": fields, "id": 7}))


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are not the same."""
    return repr(one) == repr(other)


# What crosses the broker.


def read_envelopes(data: bytes) -> None:
    """An envelope is read or refused, and says the same when it is written and read again; a bundle is as many."""
    position, bare = parted(data)
    assert (position is None) == (bare is data)
    parts = list(split(data))
    assert parts
    assert list(split(join(parts))) == parts
    for part in (data, bare, *parts):
        try:
            envelope = Envelope.decode(part)
        except UnknownEnvelope:
            continue
        for names in (envelope.without_users, envelope.without_connections, envelope.only):
            assert all(isinstance(name, str) for name in names), names
        with contextlib.suppress(ValueError):  # escaped, what was said is too long
            assert Envelope.decode(envelope.encode()) == envelope
        trace = None if envelope.trace is None else read(envelope.trace)
        if trace is not None:
            bare = envelope._replace(trace=None).encode()
            assert read(str(trace)) == trace
            assert Envelope.decode(with_trace(bare, str(trace)))._replace(trace=None) == envelope._replace(trace=None)


# The conversation.


def seen(event: Any) -> Any:
    return (bytes(event.message.data), event.at_once) if isinstance(event, Answer) else event


def talk(data: bytes) -> None:
    """A conversation goes the same by every way, and whatever is said it never raises."""
    if not data:
        return
    how, said = data[0], data[1:].split(b"\n")
    limits = Limits(message=200, depth=5, name=16, rooms=3, presence=64)
    asked = [None, frozenset(), frozenset({"presence"})][how >> 3 & 3 if how >> 3 & 3 < 3 else 0]
    logs = []
    for way in WAYS:
        here = Session(limits, credential=bool(how & 1), text=bool(how & 2), asked=asked)
        log: list[Any] = []
        with instead(session, typed=way.typed), instead(codec, plain=way.plain):
            for line in said:
                frame: Any = line[1:] if line[:1] == b"\xff" else line.decode("utf-8", "replace")
                event = here.receive(frame)
                log.append((seen(event), here.state))
                if isinstance(event, Answer):
                    assert isinstance(json.loads(event.message.data)["type"], str)
                if isinstance(event, End):
                    here.close()
                elif how & 4 and here.state is State.CHECKING:
                    here.authenticated()
        logs.append(log)
    assert all(repr(log) == repr(logs[0]) for log in logs), logs


# The accelerator.


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it gives, or the kind of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - that is what is compared
        return type(error)


def values(data: bytes) -> Iterator[Any]:
    """What an application may send, by a recipe: also what no JSON can be made of."""
    constants = (
        None,
        True,
        False,
        0,
        -1,
        2**62,
        -(2**63),
        2**63,
        10**25,
        1.5,
        float("nan"),
        b"bytes",
        "\ud800",
        "\x1f",
    )
    at = 0

    def value(depth: int) -> Any:
        nonlocal at
        if at >= len(data):
            return None
        kind, at = data[at], at + 1
        size = kind >> 3
        if depth > 18:
            return None
        if kind & 7 == 0:
            return [value(depth + 1) for _ in range(size % 4)]
        if kind & 7 == 1:
            return {str(value(depth + 1)) if size & 16 else value(20): value(depth + 1) for _ in range(size % 4)}
        if kind & 7 == 2:
            return constants[size % len(constants)]
        if kind & 7 == 3:
            found, at = int.from_bytes(data[at : at + size % 10], "big", signed=True), at + size % 10
            return found
        found, at = data[at : at + size], at + size
        return found.decode("utf-8", "surrogatepass" if kind & 1 else "replace") * (200 if kind & 7 == 7 else 1)

    with contextlib.suppress(UnicodeDecodeError):
        while at < len(data):
            yield value(0)


def accelerate(data: bytes) -> None:
    """Whatever the accelerator is called with, it comes to what its twin comes to, or leaves it to Python."""
    if C is None or len(data) < 3:
        return
    how, a, b, rest = data[0], data[1], data[2], data[3:]
    if how & 3 == 0:
        sent = spelt(rest) if how & 4 else rest
        for limit in (b - 1, 2**70, a * 300):
            ours: list[str] = []
            theirs: list[str] = []
            at, most = min(a, len(sent)) if how & 8 else 0, 1 + (how >> 4)
            assert C.texts(sent, at, limit, ours, most) == PYTHON.texts(sent, at, limit, theirs, most)
            assert ours == theirs
        assert outcome(C.texts, sent, a - 128, b, [], 9) in (IndexError, outcome(PYTHON.texts, sent, a - 128, b, [], 9))
    elif how & 3 == 1:
        for text in (rest.decode("utf-8", "replace"), rest.decode("latin-1")):
            assert same(C.plain(text), PYTHON.plain(text)), (C.plain(text), PYTHON.plain(text))
            assert same(C.typed(text), PYTHON.typed(text))
    elif how & 3 == 2:
        for value in values(rest):
            quick, whole = C.written(value), outcome(strictly_written, value)
            assert quick is None or quick == whole, (quick, whole)
            quick, whole = (
                C.acknowledged(a, value),
                outcome(strictly_written, {"type": "ack", "result": value, "id": a}),
            )
            assert quick is None or quick == whole, (quick, whole)
    else:
        parts: list[Any] = [rest[at : at + a + 1] * (1 + b) for at in range(0, len(rest), a + 1)]
        assert C.text_frames(parts) == PYTHON.text_frames(parts)
        assert outcome(C.text_frames, [*parts, None]) is outcome(PYTHON.text_frames, [*parts, None])
        given: list[Any] = [*parts[:6], *([None] if how & 4 else [])]
        with sockets(len(parts[:6])) as one, sockets(len(parts[:6])) as other:
            for bad in ((), (-1,), (10**12,), ("",)):
                ours, theirs = [*one, *bad], [*other, *bad]
                for offered in (rest, rest * 99, None)[: 2 if bad else 3]:
                    assert outcome(C.send_all, ours, offered) == outcome(python_send_all, theirs, offered)
                assert raised_or(C.send_each, ours, given) == raised_or(python_send_each, theirs, given)


def raised_or(function: Callable[..., Any], *arguments: Any) -> Any:
    """Where several are wrong, which is told first is no matter."""
    found = outcome(function, *arguments)
    return Exception if isinstance(found, type) else found


@contextlib.contextmanager
def sockets(count: int) -> Iterator[list[int]]:
    """The descriptors of so many that hold little, and are never read."""
    with contextlib.ExitStack() as open_ones:
        found = []
        for _ in range(count):
            here, there = socket.socketpair()
            open_ones.enter_context(here)
            open_ones.enter_context(there)
            here.setblocking(False)
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            found.append(here.fileno())
        yield found


def strictly_written(value: Any) -> bytes:
    with instead(codec, written=fast_path.python_written):
        return encode(value)


TARGETS: dict[str, Target] = {
    "frames": read_frames,
    "codec": read_json,
    "envelope": read_envelopes,
    "session": talk,
    "accelerator": accelerate,
}
