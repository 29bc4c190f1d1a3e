"""What a client may understand beyond the tables of `hubbub.v1`, and has to ask for by name.

It asks in its first message or in a subprotocol, which is never selected: a browser sets no other header. Whoever asks
for nothing is sent nothing new, byte for byte, and what it sends means what it meant before. A name that is not known
here means nothing: clients may be newer than the hub.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from hubbub.errors import InvalidMessage

Features: TypeAlias = frozenset[str]

#: `set_presence`, and `presence` beside who is there.
PRESENCE: Final = "presence"
#: `expiring`, before a credential ends.
EXPIRING: Final = "expiring"

#: Who comes and goes in one message for many, where it is too many to be told one by one.
DIFF: Final = "diff"

KNOWN: Final[Features] = frozenset({PRESENCE, EXPIRING, DIFF})
NONE: Final[Features] = frozenset()

#: What stands before the names in `Sec-WebSocket-Protocol`, and between two of them.
SUBPROTOCOL, BETWEEN = "hubbub.features.", "+"

# Of the few sets there can be, each is there once, however many connections have it.
_SETS: dict[Features, Features] = {NONE: NONE}


def subprotocols(names: Iterable[str]) -> list[str]:
    """What a client offers to ask for these; nothing where there are none."""
    joined = BETWEEN.join(names)
    return [SUBPROTOCOL + joined] if joined else []


def asked_for(names: object) -> Features | None:
    """Those of the `features` of a message, None where it has none. Raises InvalidMessage with `field="features"`."""
    if names is None:
        return None
    if not (isinstance(names, list) and all(isinstance(name, str) and name for name in names)):
        raise InvalidMessage("features is an array of names", field="features")
    return _known(names)


def offered(subprotocols: Iterable[str]) -> Features | None:
    """The same of what a handshake offers. Raises InvalidMessage where it is offered twice, or a name is empty."""
    found = [entry.removeprefix(SUBPROTOCOL) for entry in subprotocols if entry.startswith(SUBPROTOCOL)]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidMessage(f"{SUBPROTOCOL}… is offered more than once: join the names by {BETWEEN}")
    names = found[0].split(BETWEEN)
    if not all(names):
        raise InvalidMessage(f"{SUBPROTOCOL}… has names joined by {BETWEEN}, and none of them is empty")
    return _known(names)


def both(one: Features | None, other: Features | None) -> Features | None:
    """What was asked for in two places."""
    if one is None or other is None:
        return one if other is None else other
    return _known(one | other)


def _known(names: Iterable[str]) -> Features:
    asked = KNOWN.intersection(names)
    return _SETS.setdefault(asked, asked)
