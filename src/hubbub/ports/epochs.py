"""How the epoch of a topic is named that nothing was said in, so that nothing need be kept of it.

It is the broker's own name for what it has not lost, and the day: the first message begins the topic's history under
the epoch of its day. A position from before it is one of that history where it is of the same day or of the day before:
for no longer than a broker remembers what began (`BEGUN_KNOWN`), so that a history that was begun and lost since is
known to have been there, and the next one gets a name of its own. Where very many began within that time a broker takes
another name, and forgets them all. `docs/explain/delivery.md` has the reasoning.
"""

import re

from hubbub.types import Position

#: Seconds of a day, by which they are named.
DAY = 24 * 60 * 60.0
#: Seconds for which it is remembered that a topic's history has begun: twice that.
BEGUN_KNOWN = 2 * DAY
# What a client sends may be anything.
_DAY = re.compile(r"(?P<life>[^-]+)-(?P<day>[0-9]{1,8})")


def unbegun(life: str, now: float) -> str:
    """The epoch of every topic without a history, by the broker's clock. `life`: ASCII without colon or hyphen."""
    return f"{life}-{int(now // DAY)}"


def goes_on(earlier: str | None, epoch: str) -> bool:
    """Whether a position of the one epoch is a position of the other: the same, or from before the history began."""
    if earlier == epoch:
        return True
    before, after = _DAY.fullmatch(earlier or ""), _DAY.fullmatch(epoch)
    if before is None or after is None or before["life"] != after["life"]:
        return False
    return int(after["day"]) - int(before["day"]) == 1


def begins(before: Position, after: Position) -> bool:
    """Whether what is at `after` goes on from `before`, where nothing had been said."""
    return before.offset == 0 and goes_on(before.epoch, after.epoch)
