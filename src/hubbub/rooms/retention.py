"""What of a hub's messages is kept: what all who declared its rooms say of it together.

Each service that declares rooms leaves its word at the broker, and so does each release of it:

    {"rooms": [["team:{id}", 200, 3600.0], ["open:{name}", null, null], ["old:{name}", false, null]],
     "inbox": [100, 86400.0], null or false}

Whoever sends asks all words, the living ones first: the most that one of them keeps, else nothing where one says that
nothing is to be kept any more. Where those that live say nothing, the words of those that are gone hold: the most,
unless that was taken back later. So who declares no history never takes another's away.

Patterns without the types of their placeholders, so a name that no room can have may seem to have one. Those with
types that keep nothing are left out, or come last where they say so: a room of a later pattern, which keeps, would be
taken for one of theirs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from hubbub.errors import ConfigurationError
from hubbub.options import History, Keep
from hubbub.ports.broker import LIVING
from hubbub.rooms.patterns import Patterns
from hubbub.types import Topic, room_of


def word(rooms: Iterable[tuple[str, Keep]], inbox: Keep) -> bytes:
    """What `Word.read` reads."""
    rules = [(pattern, *(_figures(keep) or (keep, None))) for pattern, keep in rooms]
    return json.dumps({"rooms": rules, "inbox": _figures(inbox) or inbox}).encode()


class Word:
    """Of one service. `rooms`: what it declares by pattern, the first that matches wins. `inbox`: of users."""

    def __init__(self, rooms: Iterable[tuple[str, Keep]], inbox: Keep) -> None:
        self.rooms: Patterns[Keep] = Patterns()
        for pattern, keep in rooms:
            self.rooms.declare(pattern, keep, {})
        self.inbox = inbox

    @classmethod
    def read(cls, declared: bytes) -> Self:
        """Raises ConfigurationError for what this release cannot read: what is to be kept must not be lost unsaid."""
        try:
            said = json.loads(declared)
            inbox = said["inbox"]
            return cls(
                [(pattern, _keep(size, ttl)) for pattern, size, ttl in said["rooms"]],
                _keep(*inbox) if inbox else inbox,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"what the hubs keep cannot be read ({error!r}): another release?") from None

    def says(self, topic: Topic) -> Keep:
        room = room_of(topic)
        if room is not None:
            found = self.rooms.match(room)
            return None if found is None else found.value
        return self.inbox if topic.startswith("user:") else None


class Said(NamedTuple):
    """One answer, and how many seconds ago it was given last."""

    keep: Keep
    age: float


class Retention:
    """Before any hub ran, nothing is kept."""

    def __init__(self) -> None:
        self.version: int = 0
        """Changes with what was learned: as long as it is the same, so is every answer given here."""
        self.words: Sequence[tuple[Word, float]] = ()
        """Of others, each with its age in seconds."""
        self.learned: bool = True
        """False while nobody knows yet what others say: then what is not kept by oneself may be kept all the same."""

    @classmethod
    def read(cls, declared: Mapping[bytes, float]) -> Self:
        """Raises ConfigurationError, as `Word.read`."""
        retention = cls()
        retention.learn([(Word.read(word), age) for word, age in declared.items()])
        return retention

    def learn(self, words: Sequence[tuple[Word, float]]) -> None:
        self.words = words
        self.learned = True
        self.version += 1

    def doubt(self) -> None:
        """There may be others, who are to be learned of."""
        self.learned = False
        self.version += 1

    def kept(self, topic: Topic, own: Keep = None) -> Keep:
        """What is kept of a room's or user's messages; `own` is what the one who asks declares itself."""
        if not self.words:
            return own
        return together([Said(own, 0.0), *(Said(word.says(topic), age) for word, age in self.words)])


def together(answers: Iterable[Said]) -> Keep:
    """What all of them come to."""
    said = [answer for answer in answers if answer.keep is not None]
    living = [answer for answer in said if answer.age <= LIVING]
    keeping = [answer for answer in living or said if answer.keep]
    if not keeping:
        return False if said else None
    if not living:
        # The words of the dead, by age: was what they kept taken back after the last of them?
        ended = [answer.age for answer in said if answer.keep is False]
        if ended and min(ended) < min(answer.age for answer in keeping):
            return False
    kept = [answer.keep for answer in keeping if answer.keep]
    return History(size=max(keep.size for keep in kept), ttl=max(keep.ttl for keep in kept))


def _figures(keep: Keep) -> tuple[int, float] | None:
    return (keep.size, keep.ttl) if keep else None


def _keep(size: Any, ttl: Any) -> Keep:
    if size is None or size is False:
        return size
    return History(size=int(size), ttl=float(ttl))
