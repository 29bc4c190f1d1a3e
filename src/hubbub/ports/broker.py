"""The broker: carries bytes between workers and holds the truth about who is present.

Guarantees every broker gives, and `hubbub.testing.conformance` checks:

- One topic's messages arrive in one order, the same for every subscriber on every worker.
- What a worker publishes comes back to it through `deliver` like everybody else's; there is no local shortcut.
- Where a topic keeps history, `publish` gives the message its position, keeps it and hands it out in one atomic step:
  offsets rise by one within an epoch, and a stream that was lost has another epoch when it begins again.
- `enter`, `leave` and `sweep` count, decide and announce in one atomic step, and are idempotent per (topic, member,
  holder).
- Of `ONLINE` and `OCCUPIED` the first and the last are logged in that step too, where that is asked for: see `edges`.
- `show` and `hide` do as much for what is seen of a member, and so does `sweep`: whoever is announced as there is seen
  with what it shows, and whoever is gone shows nothing.
- Every call ends within the broker's deadline or raises `Unavailable`; after that, it may or may not have happened.
- `start` does not wait for the other side: a broker that is away is `ready == False` until it comes.

The file is longer than others: nearly all of it is what is promised to who writes a broker or calls one.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeAlias

from hubbub.options import History, Keep
from hubbub.types import OCCUPIED, ONLINE, Position, Topic

#: What the broker calls, in the event loop, for every message of a subscribed topic: topic, envelope bytes, and the
#: position of a message that is kept.
Deliver: TypeAlias = Callable[[Topic, bytes, Position | None], None]

#: Seconds for which an idempotency key is known, at least.
KEY_KNOWN = 300.0
#: Seconds for which a position outlives the messages it was given to, at least.
POSITION_KNOWN = 24 * 60 * 60.0
#: Seconds after which who declared something, and did not say it again, counts as one that lives no more.
LIVING = 30.0
#: Seconds for which what it declared is remembered all the same: 30 days.
DECLARATION_KNOWN = 30 * 24 * 60 * 60.0
#: The topics whose edges can be logged.
EDGED = (ONLINE, OCCUPIED)
#: How many edges wait to be handled, at most; the oldest are lost beyond that.
EDGES_KEPT = 10_000
#: Seconds for which they wait, and for which edges are logged after somebody asked for them: a day.
EDGES_KNOWN = 24 * 60 * 60.0
#: Seconds for which `last_left` is known: 30 days.
LEFT_KNOWN = 30 * 24 * 60 * 60.0
#: How many revocations are remembered at once, at most.
REVOCATIONS_KEPT = 100_000
TOO_MANY_REVOCATIONS = f"{REVOCATIONS_KEPT:,} revocations are remembered already"
#: Seconds for which one is remembered of which nobody says how long the credential is good: 30 days.
REVOCATION_KNOWN = 30 * 24 * 60 * 60.0


class Announcement(NamedTuple):
    """Published in the same atomic step as a change of presence: the envelope `data` on `topic`."""

    topic: Topic
    data: bytes


class Change(NamedTuple):
    """Published in the same atomic step as a change of what is seen of a member: that, with these around it."""

    topic: Topic
    before: bytes
    after: bytes

    def of(self, data: bytes) -> bytes:
        """The envelope. Where nothing is seen any more, an object without fields."""
        return b"".join((self.before, data or b"{}", self.after))


class Shown(NamedTuple):
    """`first`: as `enter`. `at`: the place of what was said among all that is shown of the member."""

    first: bool
    at: int


class Entry(NamedTuple):
    """A kept message: its offset, and the envelope that was published."""

    offset: int
    data: bytes


class Past(NamedTuple):
    """What is kept, as one atomic look at it: `top` is the position of the newest message ever published."""

    top: Position
    entries: Sequence[Entry]


class Renewal(Enum):
    """What became of a holder's lease since it was renewed last."""

    KEPT = auto()
    NEW = auto()
    """The broker knew of none: the holder's first, or the broker forgot everything."""
    LOST = auto()
    """It ran out, and others have begun to announce that what it held is gone."""


class Declared(NamedTuple):
    """What was declared of this hub, by all: each declaration, and how many seconds ago it was made last.

    `version` changes where one is made that nobody who lives had made; `fresh`: this one was.
    """

    version: str
    fresh: bool
    words: Mapping[bytes, float]


class Held(NamedTuple):
    """What a holder without a lease still holds in one topic: some of it, or all."""

    holder: str
    topic: Topic
    members: Sequence[str]


class LoggedEdge(NamedTuple):
    """A member got its first holder in the topic (`here`), or lost its last.

    `number` rises with each, with gaps, and is never given twice, not even where the broker lost its state; `at` is
    Unix time in seconds by the broker's clock.
    """

    number: int
    topic: Topic
    member: str
    here: bool
    at: float


class Edges(NamedTuple):
    """The oldest that nobody has handled, in order; `lost`: how many before them were lost, because too many waited."""

    lost: int
    edges: Sequence[LoggedEdge]


class Remembered(NamedTuple):
    """What was given to `revoke`, and its place: numbers rise, and are never given twice, as those of edges."""

    number: int
    word: bytes


class Broker(Protocol):
    @property
    def shared(self) -> bool:
        """Whether several processes can meet on it. The memory broker's cannot."""

    @property
    def ready(self) -> bool:
        """Whether it hears and can be heard, as far as is known now."""

    @property
    def deaf_for(self) -> float:
        """Seconds since there was proof that what is published reaches this process; 0 while there is no doubt."""

    @property
    def refusal(self) -> str | None:
        """Why it lastingly refuses what is written, in its own words, though it may be heard; None where it does not.

        For operators: they may name a user of the broker's.
        """

    async def start(self, deliver: Deliver, resumed: Callable[[], None], missed: Callable[[Topic], None]) -> None:
        """Begin. `resumed` is called whenever the other side came back after it was away: what it held may be gone,
        and of every topic something may have been missed. `missed` is called where that is so of one topic alone."""

    async def stop(self) -> None:
        """End. No `deliver` is called afterwards. May be called twice."""

    async def publish(
        self, topic: Topic, data: bytes, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Position | None:
        """Hand one envelope to all subscribers of the topic; with `keep`, the position it was given and is kept under.

        `keep` None: it goes out in order with what is kept, which stays as it is. False: what was kept of the topic is
        forgotten first, so that its positions are known to be lost.

        `idempotency_key` means something where the message is kept: for five minutes the same one on the same topic
        again publishes nothing and returns the first one's position.
        """

    async def read(
        self, topic: Topic, keep: History, *, since: int | None = None, limit: int, reverse: bool = False
    ) -> Past:
        """The kept messages after offset `since` (None: from the oldest), oldest first, at most `limit`.

        `reverse`: those before `since` (None: from the newest), newest first. Never one that is older than
        `keep.ttl`, nor more than `keep.size`. Of a topic that has none nothing is kept by reading it: its epoch, at
        offset 0, `goes_on` in that of its first message for a day at least (`ports/epochs.py`). What is kept is
        remembered by position for at least a day longer than the messages.
        """

    async def turn_back(self, topic: Topic, keep: History, epoch: str) -> Position:
        """The stream went back behind what was seen of it: it goes on, messages and offsets, under another epoch.

        Nothing happens where `epoch` is not its epoch any more. The position now.
        """

    async def subscribe(self, topic: Topic) -> None:
        """Returns when the subscription stands: what is published from now on is delivered."""

    async def unsubscribe(self, topic: Topic) -> None:
        """Stop. A message on its way may still be delivered."""

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        """`holder` says that `member` is in `topic`. True, and announced, where it is the member's first holder.

        `edge`, here and below: whether that is logged where the topic is one of `EDGED`; None: where anybody has asked
        for `edges` within `EDGES_KNOWN`.
        """

    async def leave(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        """`holder` says it no longer is. True, and announced, where it was the member's last holder."""

    async def show(
        self,
        topic: Topic,
        member: str,
        holder: str,
        data: bytes,
        *,
        at: int | None = None,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> Shown:
        """As `enter`, and `holder` shows `data` of the member from now on, JSON; nothing where that is empty.

        What is seen of a member is what was said last of all that its holders show. `at`: the place that was given to
        what is said again; None: it is new, and the newest. Where what is seen of the member is not the same any more,
        and nothing was announced, `change` is published.
        """

    async def hide(
        self,
        topic: Topic,
        member: str,
        holder: str,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> bool:
        """As `leave`, and `holder` shows nothing of the member any more. `change` as for `show`."""

    async def renew(self, holder: str, ttl: float) -> Renewal:
        """What `holder` holds is to be believed for `ttl` seconds from now on, by the broker's clock."""

    async def lost(self, limit: int, *, ago: float = 0.0) -> list[Held]:
        """What holders whose lease has run out still hold, at most about `limit` members of it.

        `ago`: only where it ran out so many seconds ago.
        From now on `renew` tells such a holder LOST, once. One that holds nothing any more is forgotten.
        """

    async def sweep(
        self,
        held: Held,
        announce: Sequence[Announcement | None],
        changes: Sequence[Change | None] = (),
        *,
        edge: bool | None = None,
    ) -> list[bool]:
        """As `leave` and `hide` for each of its members, where the holder's lease has still run out; else all False.

        `changes`: none, or one for each.
        """

    async def edges(self, limit: int) -> Edges:
        """What was logged and is not handled, the oldest first, at most `limit`. They stay until they are handled."""

    async def handled(self, number: int) -> None:
        """All edges up to this one have been handled, and are forgotten."""

    async def last_left(self, member: str) -> float | None:
        """When the member lost its last holder in `ONLINE`, in Unix seconds; None where that is not known.

        It is known for `LEFT_KNOWN`, whether or not edges are logged.
        """

    async def members(self, topic: Topic) -> list[str]:
        """Who is in the topic, sorted."""

    async def shown(self, topic: Topic) -> dict[str, bytes]:
        """Who is in the topic, and what is seen of each: empty where nobody shows anything."""

    async def count(self, topic: Topic) -> int:
        """How many are in the topic; costs the same whether ten or ten thousand."""

    async def contains(self, topic: Topic, member: str) -> bool:
        """Whether the member is in the topic."""

    async def declare(self, word: bytes) -> Declared:
        """Say how this hub's topics are to be treated, for all who publish to them; again at least each `LIVING`.

        It outlives who said it by `DECLARATION_KNOWN`, beside what others said.
        """

    async def declared(self) -> Declared:
        """What was said, and nothing more is."""

    async def revoke(self, word: bytes, until: float, announce: Announcement) -> None:
        """Remember what is revoked, until that Unix time in seconds by the broker's clock, and announce it.

        Said again it has a new number. Raises Unavailable, and has done neither, where as many as REVOCATIONS_KEPT are
        remembered.
        """

    async def revoked(self, since: int, limit: int) -> list[Remembered]:
        """What is remembered above that number, in order, at most `limit`; what has run out may be among it."""

    async def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        """Take or keep the lease `name` for `ttl` seconds and get the number of this turn; None where another has it.

        Numbers rise by one from turn to turn whoever takes them, so a successor goes on where the last one stopped.
        """

    async def give_up(self, name: str, holder: str) -> None:
        """Let the lease go at once, where `holder` has it."""

    async def report(self, node: str, facts: bytes, ttl: float) -> None:
        """What this node says of itself, believed for `ttl` seconds."""

    async def reports(self) -> dict[str, bytes]:
        """What every living node said last, by node."""

    async def withdraw(self, node: str) -> None:
        """Forget what the node said."""


def is_in_trouble(broker: Broker) -> bool:
    """Whether it is away, or lastingly refuses whatever is written. Operators know that by then, from itself."""
    return not broker.ready or broker.refusal is not None
