"""What the listening connection is subscribed to, as the server confirmed it.

The server answers every channel of every command once. What it says without being asked is therefore news: somebody
between us and it made a subscription again, or dropped one, and what was published in between did not arrive. The topic
is then `missed`, after its subscription stands, so that who looks into history looks late enough.

An error is an answer too, to the oldest command that has none: it says so and not to which channel. Who came for the
channel hears of it; one that somebody is in already is asked for again and again.
"""

import asyncio
import contextvars
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence

from redis.exceptions import ResponseError

from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.refusals import told, unavailable
from hubbub.brokers.redis.resp import packed
from hubbub.errors import Unavailable
from hubbub.ports.logs import Event, fields
from hubbub.types import Topic

logger = logging.getLogger("hubbub.brokers.redis")

#: Channels in one command: enough to be quick, few enough not to hold the server up.
_BATCH = 500

_SUBSCRIBE, _UNSUBSCRIBE, _PING = b"SUBSCRIBE", b"UNSUBSCRIBE", b"PING"


class _Wait:
    """Callers that wait for one subscription. `fresh`: nobody was subscribed before them."""

    __slots__ = ("callers", "fresh", "refusal", "stands")

    def __init__(self, *, fresh: bool) -> None:
        self.callers = 0
        self.fresh = fresh
        self.refusal: ResponseError | None = None
        self.stands: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class _Sent:
    """A command on its way, and how many answers it still gets where it is not refused."""

    __slots__ = ("channels", "command", "left")

    def __init__(self, command: bytes, channels: Sequence[bytes]) -> None:
        self.command = command
        self.channels = channels
        self.left = max(1, len(channels))


class Channels:
    """`own` is the channel that is subscribed to last, and always. `topics` are all others that are wanted."""

    def __init__(self, own: bytes, missed: Callable[[Topic], None], *, deadline: float) -> None:
        self.topics: dict[bytes, Topic] = {}
        self._own = own
        self._missed = missed
        self._deadline = deadline
        self._standing: set[bytes] = set()
        self._waits: dict[bytes, _Wait] = {}
        # Answers still to come: a channel left and taken again at once stands only after the last of them.
        self._owed: Counter[tuple[bytes, bytes]] = Counter()
        self._sent: deque[_Sent] = deque()
        self._doubtful: set[bytes] = set()
        # Those in which somebody is.
        self._refused: dict[bytes, ResponseError] = {}
        self.refuses_new: ResponseError | None = None
        """Why the server takes no subscriptions, where all that stand stay."""
        self._outgoing: deque[tuple[bytes, bytes]] = deque()
        self._batch = _BATCH
        self._link: Link | None = None
        self._closed = False
        # What is asked for in one turn leaves together, whoever asked first.
        self._context = contextvars.copy_context()

    @property
    def doubtful(self) -> bool:
        """Whether the server dropped a subscription that does not stand again yet."""
        return bool(self._doubtful)

    @property
    def refusal(self) -> ResponseError | None:
        """Why the server does not let us hear something that somebody is in."""
        return next(iter(self._refused.values()), None)

    @property
    def owed(self) -> int:
        """Answers still to come."""
        return self._owed.total()

    def begin(self, link: Link) -> None:
        """Subscribe to everything on a new connection."""
        self.end()
        self._link, self._batch = link, _BATCH
        for channel in (*self.topics, self._own):
            self._ask(_SUBSCRIBE, channel)

    def end(self) -> None:
        """The connection is gone, and every subscription with it."""
        self._link = self.refuses_new = None
        for state in (self._standing, self._owed, self._sent, self._doubtful, self._refused, self._outgoing):
            state.clear()

    def close(self) -> None:
        """For good: whoever waits is refused."""
        self._closed = True
        for wait in self._waits.values():
            wait.stands.set_result(False)
        self._waits.clear()

    async def subscribe(self, channel: bytes, topic: Topic) -> None:
        """Returns when the server confirmed it.

        Raises Unavailable where it is refused, and after the deadline; then nothing stays behind.
        """
        if self._closed:
            raise Unavailable
        if channel in self._standing:
            return
        wait = self._waits.get(channel)
        if wait is None:
            wait = self._waits[channel] = _Wait(fresh=channel not in self.topics)
            if wait.fresh:
                self.topics[channel] = topic
                self._ask(_SUBSCRIBE, channel)
        wait.callers += 1
        try:
            await asyncio.wait((wait.stands,), timeout=self._deadline)
        finally:
            wait.callers -= 1
            if not wait.callers and self._waits.get(channel) is wait:
                del self._waits[channel]
                if wait.fresh:
                    self.unsubscribe(channel)
        if wait.refusal is not None:
            raise unavailable(wait.refusal) from told(wait.refusal)
        if not wait.stands.done() or not wait.stands.result():
            raise Unavailable

    def unsubscribe(self, channel: bytes) -> None:
        if self.topics.pop(channel, None) is None:
            return
        self._standing.discard(channel)
        self._doubtful.discard(channel)
        self._refused.pop(channel, None)
        wait = self._waits.pop(channel, None)
        if wait is not None:
            wait.stands.set_result(False)
        self._ask(_UNSUBSCRIBE, channel)

    def ping(self) -> None:
        """Ask for a sign of life, for what was refused, and whether subscriptions are still taken.

        A right that was taken away ends none that stands, so all seems well until somebody new comes.
        """
        self._ask(_PING)
        for channel in {*self._refused, *({self._own} & self._standing)}:
            if not self._owed[_SUBSCRIBE, channel]:
                self._ask(_SUBSCRIBE, channel)

    def ponged(self) -> None:
        """The server says that it is there."""
        self._advance(_PING)

    def refused(self, error: ResponseError) -> None:
        """The server says so to what was asked first of all that has no answer.

        Raises it for our own channel, unless we hear that already.
        """
        if not self._sent:
            return
        sent = self._sent.popleft()
        for channel in sent.channels:
            self._owed[sent.command, channel] -= 1
            if self._owed[sent.command, channel] <= 0:
                del self._owed[sent.command, channel]
        if sent.command == _UNSUBSCRIBE:
            logger.warning(
                "the broker refuses to end a subscription: %s",
                told(error),
                extra=fields(Event.BROKER_REFUSES, cause=str(told(error))),
            )
        elif len(sent.channels) > 1:
            # One of them is enough for all to be refused: each on its own, and what is wanted does not stand meanwhile.
            self._batch = 1
            for channel in sent.channels:
                self._ask(_SUBSCRIBE, channel)
                if channel in self.topics and channel not in self._waits:
                    self._refused[channel] = error
        elif sent.channels:
            self._refuse(sent.channels[0], error)

    def _refuse(self, channel: bytes, error: ResponseError) -> None:
        if channel == self._own:
            if channel not in self._standing:
                raise error
            if self.refuses_new is None:
                logger.warning(
                    "the broker refuses subscriptions, so nobody is let in: %s",
                    told(error),
                    extra=fields(Event.BROKER_REFUSES, cause=str(told(error))),
                )
            self.refuses_new = error
            return
        if self._owed[_SUBSCRIBE, channel]:
            return  # it was asked for again meanwhile
        wait = self._waits.pop(channel, None)
        if wait is not None:
            wait.refusal = error
            wait.stands.set_result(False)
            if wait.fresh:
                self.topics.pop(channel, None)
        if channel in self.topics:
            self._standing.discard(channel)
            self._doubtful.add(channel)
            self._refused[channel] = error

    def subscribed(self, channel: bytes) -> None:
        """The server says so."""
        still = self._answered(_SUBSCRIBE, channel)
        if still > 0:
            return
        if channel == self._own:
            self._standing.add(channel)
            if self.refuses_new is not None:
                self.refuses_new = None
                logger.warning("the broker takes subscriptions again", extra=fields(Event.BROKER_ACCEPTS))
            return
        topic = self.topics.get(channel)
        if topic is None:
            if still < 0:
                self._ask(_UNSUBSCRIBE, channel)
            return
        self._standing.add(channel)
        self._refused.pop(channel, None)
        wait = self._waits.pop(channel, None)
        if wait is not None:
            wait.stands.set_result(True)
        if still < 0 or channel in self._doubtful:
            self._doubtful.discard(channel)
            logger.info(
                "a subscription was made again without being asked for", extra=fields(Event.BROKER_SUBSCRIBED_AGAIN)
            )
            try:
                self._missed(topic)
            except Exception:
                logger.exception("looking for what was missed failed", extra=fields(Event.BROKER_FAILED))

    def unsubscribed(self, channel: bytes) -> None:
        """The server says so."""
        if self._answered(_UNSUBSCRIBE, channel) < 0 and (channel in self.topics or channel == self._own):
            self._standing.discard(channel)
            self._doubtful.add(channel)
            self._ask(_SUBSCRIBE, channel)

    def _answered(self, command: bytes, channel: bytes) -> int:
        """How many answers are still owed; below zero where this one was not."""
        still = self._owed.pop((command, channel), 0) - 1
        if still > 0:
            self._owed[command, channel] = still
        if still >= 0:
            self._advance(command)
        return still

    def _advance(self, command: bytes) -> None:
        """The first command of this kind has one more answer, and what left before it will get none any more."""
        while self._sent and self._sent[0].command != command:
            self._sent.popleft()
        if self._sent:
            self._sent[0].left -= 1
            if not self._sent[0].left:
                self._sent.popleft()

    def _ask(self, command: bytes, channel: bytes = b"") -> None:
        if self._link is None:
            return
        if channel:
            self._owed[command, channel] += 1
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._send, context=self._context)
        self._outgoing.append((command, channel))

    def _send(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            commands = []
            while self._outgoing:
                command, channel = self._outgoing.popleft()
                channels = [channel] if channel else []
                while channel and self._outgoing and self._outgoing[0][0] == command and len(channels) < self._batch:
                    channels.append(self._outgoing.popleft()[1])
                self._sent.append(_Sent(command, channels))
                commands.append(packed((command, *channels)))
            link.write(b"".join(commands))
        except Exception as error:  # noqa: BLE001 - who supervises the connection hears of it, and makes another
            link.fail(error)
