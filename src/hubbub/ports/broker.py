"""The broker: carries bytes between workers and holds the truth about who is present.

Guarantees every broker gives, and `tests/brokers/test_conformance.py` checks:

- One topic's messages arrive in one order, the same for every subscriber on every worker.
- What a worker publishes comes back to it through `deliver` like everybody else's; there is no local shortcut.
- `enter` and `leave` count, decide and announce in one atomic step, and are idempotent per (topic, member, holder).
- Every call ends within the broker's deadline or raises `Unavailable`; after that, it may or may not have happened.
- `start` does not wait for the other side: a broker that is away is `ready == False` until it comes.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from hubbub.types import Position, Topic

#: What the broker calls, in the event loop, for every message of a subscribed topic: topic and envelope bytes.
Deliver: TypeAlias = Callable[[Topic, bytes], None]


class Announcement(NamedTuple):
    """Published in the same atomic step as a change of presence: the envelope `data` on `topic`."""

    topic: Topic
    data: bytes


class Broker(Protocol):
    @property
    def shared(self) -> bool:
        """Whether several processes can meet on it. The memory broker's cannot."""

    @property
    def ready(self) -> bool:
        """Whether it hears and can be heard, as far as is known now."""

    async def start(self, deliver: Deliver, resumed: Callable[[], None]) -> None:
        """Begin. `resumed` is called whenever the other side came back after it was away: what it held may be gone."""

    async def stop(self) -> None:
        """End. No `deliver` is called afterwards. May be called twice."""

    async def publish(self, topic: Topic, data: bytes) -> Position | None:
        """Hand one envelope to all subscribers of the topic; the position where the topic keeps history."""

    async def subscribe(self, topic: Topic) -> None:
        """Returns when the subscription stands: what is published from now on is delivered."""

    async def unsubscribe(self, topic: Topic) -> None:
        """Stop. A message on its way may still be delivered."""

    async def enter(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        """`holder` says that `member` is in `topic`. True, and announced, where it is the member's first holder."""

    async def leave(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        """`holder` says it no longer is. True, and announced, where it was the member's last holder."""

    async def members(self, topic: Topic) -> list[str]:
        """Who is in the topic, sorted."""

    async def count(self, topic: Topic) -> int:
        """How many are in the topic; costs the same whether ten or ten thousand."""

    async def contains(self, topic: Topic, member: str) -> bool:
        """Whether the member is in the topic."""

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
