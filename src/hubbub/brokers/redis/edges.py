"""Edges as scripts take and return them: who came as the first, and who went as the last."""

from collections.abc import Sequence
from typing import Any

from hubbub.brokers.redis.keys import Keys, decoded, unquoted
from hubbub.brokers.redis.publishing import milliseconds
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.resp import Argument
from hubbub.ports.broker import EDGED, EDGES_KEPT, EDGES_KNOWN, LEFT_KNOWN, Edges, LoggedEdge
from hubbub.types import ONLINE, Topic

EDGES, HANDLED = Script("edges"), Script("handled")

_SAID = {None: b"", True: b"1", False: b"0"}
#: For how many milliseconds edges wait, and count as asked for.
KNOWN = milliseconds(EDGES_KNOWN)


def edge_of(names: Keys, topic: Topic, edge: bool | None, *, leaves: bool) -> tuple[list[bytes], list[Argument]]:
    """An edge's keys and arguments, see `edge.lua`."""
    keys = [names.edges, names.numbers, names.asked] if topic in EDGED else []
    if leaves and topic == ONLINE:
        keys.append(names.left)
    return keys, [_SAID[edge], EDGES_KEPT, KNOWN, milliseconds(LEFT_KNOWN)]


def edges(answer: Sequence[Any]) -> Edges:
    """From what EDGES returned."""
    logged, handled, entries = answer
    first = int(entries[0][1][9]) if entries else int(logged) + 1
    found = [_edge(int(number.partition(b"-")[0]), *fields[1:8:2]) for number, fields in entries]
    return Edges(max(0, first - int(handled) - 1), found)


def _edge(number: int, topic: bytes, member: bytes, here: bytes, at: bytes) -> LoggedEdge:
    return LoggedEdge(number, Topic(unquoted(topic)), decoded(member), here == b"1", int(at) / 1000)
