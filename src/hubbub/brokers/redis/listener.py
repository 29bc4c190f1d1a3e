"""What hears: one connection that subscribes, kept up for ever.

What arrives is read by callback (`link.py`); one task watches for silence and for the connection's end, connects again
after a delay with full jitter, subscribes to everything and only then is `ready`. The PING behind the subscriptions is
answered after them, so its answer is the proof. redis-py's `PubSub` lost because it reconnects without a word and never
looks whether its PING was answered: a worker can be deaf for a day.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator

from redis.exceptions import RedisError

from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.resp import Reader, packed
from hubbub.errors import Unavailable
from hubbub.ports.broker import Deliver
from hubbub.state.backoff import Backoff
from hubbub.types import Topic
from hubbub.wire.envelope import split

logger = logging.getLogger("hubbub.brokers.redis")

#: Channels in one command: enough to be quick, few enough not to hold the server up.
_BATCH = 500

_NEVER_REACHED = "cannot reach the broker at %s: %s; trying again"


class _Wait:
    """Callers that wait for one subscription. `fresh`: nobody was subscribed before them."""

    __slots__ = ("callers", "fresh", "stands")

    def __init__(self, *, fresh: bool) -> None:
        self.callers = 0
        self.fresh = fresh
        self.stands: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Listener:
    """`idle`: seconds of silence before a PING; `silence`: seconds without anything before the connection is dropped.

    `resumed` is called when a connection stands again after an earlier one was lost.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Link]],
        deliver: Deliver,
        resumed: Callable[[], None],
        *,
        address: str,
        deadline: float,
        idle: float,
        silence: float,
        backoff: Backoff,
    ) -> None:
        self._connect = connect
        self._deliver = deliver
        self._resumed = resumed
        self._address = address
        self._deadline = deadline
        self._idle = idle
        self._silence = silence
        self._backoff = backoff
        self._topics: dict[bytes, Topic] = {}
        self._standing: set[bytes] = set()
        self._waits: dict[bytes, _Wait] = {}
        # Confirmations still to come: a channel left and taken again at once stands only after the last of them.
        self._owed: Counter[bytes] = Counter()
        self._outgoing: deque[tuple[bytes, bytes]] = deque()
        self._link: Link | None = None
        self._heard = self._stood = self._complained = False
        self.ready = False
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._supervise(), name="hubbub-broker-listener")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        for wait in self._waits.values():
            wait.stands.set_result(False)
        self._waits.clear()

    async def subscribe(self, channel: bytes, topic: Topic) -> None:
        """Returns when the server confirmed it. Raises Unavailable after the deadline; then nothing stays behind."""
        if self._task is None:
            raise Unavailable
        if channel in self._standing:
            return
        wait = self._waits.get(channel)
        if wait is None:
            wait = self._waits[channel] = _Wait(fresh=channel not in self._topics)
            if wait.fresh:
                self._topics[channel] = topic
                self._ask(b"SUBSCRIBE", channel)
        wait.callers += 1
        try:
            await asyncio.wait((wait.stands,), timeout=self._deadline)
        finally:
            wait.callers -= 1
            if not wait.callers and self._waits.get(channel) is wait:
                del self._waits[channel]
                if wait.fresh:
                    self.unsubscribe(channel)
        if not wait.stands.done() or not wait.stands.result():
            raise Unavailable

    def unsubscribe(self, channel: bytes) -> None:
        if self._topics.pop(channel, None) is None:
            return
        self._standing.discard(channel)
        wait = self._waits.pop(channel, None)
        if wait is not None:
            wait.stands.set_result(False)
        self._ask(b"UNSUBSCRIBE", channel)

    async def _supervise(self) -> None:
        while True:
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 - whatever it was, a worker that hears nothing is worse
                self._lost(error)
            await asyncio.sleep(self._backoff.next())

    async def _live(self) -> None:
        link = await self._connect()
        try:
            link.read(self._read)
            self._link = link
            self._owed.clear()
            for channel in self._topics:
                self._ask(b"SUBSCRIBE", channel)
            self._ask(b"PING")
            await self._watch(link)
        finally:
            self._link = None
            self.ready = False
            self._standing.clear()
            self._outgoing.clear()
            await link.close()

    def _read(self, reader: Reader) -> Iterator[None]:
        topic_of, deliver = self._topics.get, self._deliver
        while (reply := reader.gets()) is not False:
            self._heard = True
            if type(reply) is list and reply[0] == b"message":
                topic = topic_of(reply[1])
                if topic is not None:
                    for data in split(reply[2]):
                        try:
                            deliver(topic, data)
                        except Exception:
                            logger.exception("a message could not be delivered")
                        yield
                        # Somebody who is busy with what he heard is not deaf.
                        self._heard = True
                    continue
            elif type(reply) is list and reply[0] == b"subscribe":
                self._confirmed(reply[1])
            elif isinstance(reply, RedisError):
                raise reply
            elif type(reply) is not list or reply[0] == b"pong":
                self._answered()
            yield

    async def _watch(self, link: Link) -> None:
        """Raises why the connection was lost."""
        while True:
            self._heard = False
            await self._still(link, self._idle)
            if self._heard:
                continue
            self._ask(b"PING")
            await self._still(link, self._silence - self._idle)
            if not self._heard:
                raise TimeoutError(f"nothing heard for {self._silence:g} s")

    async def _still(self, link: Link, seconds: float) -> None:
        error = await link.lost(seconds)
        if error is not None:
            raise error

    def _ask(self, command: bytes, channel: bytes = b"") -> None:
        if self._link is None:
            return
        if command == b"SUBSCRIBE":
            self._owed[channel] += 1
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._send)
        self._outgoing.append((command, channel))

    def _send(self) -> None:
        commands = []
        while self._outgoing:
            command, channel = self._outgoing.popleft()
            channels = [channel] if channel else []
            while self._outgoing and self._outgoing[0][0] == command and len(channels) < _BATCH:
                channels.append(self._outgoing.popleft()[1])
            commands.append(packed((command, *channels)))
        if self._link is not None:
            self._link.write(b"".join(commands))

    def _confirmed(self, channel: bytes) -> None:
        self._owed[channel] -= 1
        if self._owed[channel] > 0:
            return
        del self._owed[channel]
        if channel in self._topics:
            self._standing.add(channel)
            wait = self._waits.pop(channel, None)
            if wait is not None:
                wait.stands.set_result(True)

    def _answered(self) -> None:
        if self.ready:
            return
        self.ready = True
        self._backoff.reset()
        if self._complained:
            self._complained = False
            logger.info("the broker at %s is %s", self._address, "back" if self._stood else "there")
        if not self._stood:
            self._stood = True
            return
        try:
            self._resumed()
        except Exception:
            logger.exception("resuming after the broker came back failed")

    def _lost(self, error: BaseException) -> None:
        if self._complained:
            return
        self._complained = True
        text = "lost the broker at %s: %s; trying again" if self._stood else _NEVER_REACHED
        # What neither the network nor the server did is a mistake of ours, and wants its traceback.
        mistake = None if isinstance(error, RedisError | OSError) else error
        logger.warning(text, self._address, str(error) or type(error).__name__, exc_info=mistake)
