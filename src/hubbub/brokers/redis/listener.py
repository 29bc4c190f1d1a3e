"""What hears: one connection that subscribes, kept up for ever.

What arrives is read by callback (`link.py`). One task connects, subscribes to everything (`channels.py`), lets the
worker publish to itself (`probe.py`), and only when that came back is it `ready`. Then it watches, and connects again
after a delay with full jitter where the connection was lost, or where for `silence` seconds nothing was answered or no
probe came back. redis-py's `PubSub` lost because it reconnects without a word and never looks whether its PING was
answered: a worker can be deaf for a day.

Silence is counted in turns of the watch, not read from the clock: a loop that was held up has not listened meanwhile.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

from redis.exceptions import RedisError, ResponseError

from hubbub.brokers.redis.channels import Channels
from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.probe import Probe
from hubbub.brokers.redis.refusals import is_refusal, told
from hubbub.brokers.redis.resp import Reader
from hubbub.errors import Unavailable
from hubbub.ports.broker import Deliver
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics, Observed
from hubbub.protocol.envelope import POSITIONED, parted, split
from hubbub.scheduling.backoff import Backoff
from hubbub.types import Topic

logger = logging.getLogger("hubbub.brokers.redis")

#: In how many turns of the watch a connection is found to be silent.
_TURNS = 10

#: Seconds before the next attempt where even telling of the last one failed.
_AFTER_A_MISTAKE = 1.0

_NEVER_REACHED = "cannot reach the broker at %s: %s; trying again"
_LOST = "lost the broker at %s: %s; trying again"


class Listener:
    """`silence`: seconds without a proof of life before `ready` turns false and the connection is dropped.

    `deliver` gets every message of a topic. `resumed` is called when it is ready again on another connection than
    before, `missed` where a topic was unsubscribed from for a moment.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Link]],
        probe: Probe,
        deliver: Deliver,
        resumed: Callable[[], None],
        missed: Callable[[Topic], None],
        *,
        address: str,
        deadline: float,
        silence: float,
        backoff: Backoff,
        metrics: Metrics,
    ) -> None:
        self._connect = connect
        self._probe = probe
        self._deliver = deliver
        self._resumed = resumed
        self._tell_missed = missed
        self._address = address
        self._silence = silence
        self._backoff = backoff
        self._metrics = metrics
        self._channels = Channels(probe.channel, self._missed, deadline=deadline)
        self._loop = asyncio.get_running_loop()
        self._deaf_since = self._loop.time()
        self._unanswered = self._unproved = 0
        # A connection that was not proved yet; one that ever was.
        self._fresh, self._stood = True, False
        self._complained = self._explained = False
        self.ready: bool = False
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._supervise(), name="hubbub-broker-listener")

    @property
    def alive(self) -> bool:
        """Whether it goes on listening, or trying to."""
        return self._task is not None and not self._task.done()

    @property
    def refusal(self) -> str | None:
        """In the server's words, why nothing new can be heard; None where it can, or nobody knows."""
        refusal = self._channels.refuses_new
        return None if refusal is None else str(told(refusal))

    @property
    def deaf_for(self) -> float:
        return 0.0 if self.ready else self._loop.time() - self._deaf_since

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._channels.close()

    async def subscribe(self, channel: bytes, topic: Topic) -> None:
        """As `Channels.subscribe`."""
        if self._task is None:
            raise Unavailable
        await self._channels.subscribe(channel, topic)

    def unsubscribe(self, channel: bytes) -> None:
        self._channels.unsubscribe(channel)

    def connect_again(self, error: Exception) -> None:
        """Leave the connection, for that reason."""
        if self._link is not None:
            self._link.fail(error)

    async def _supervise(self) -> None:
        while True:
            try:
                await self._attempt()
            except (Exception, asyncio.CancelledError):
                if _is_to_end():
                    return
                # Not even telling of it worked; but a worker that hears nothing is worse than one that says nothing.
                with suppress(Exception):
                    logger.exception("the listener failed", extra=fields(Event.BROKER_FAILED))
                await asyncio.sleep(_AFTER_A_MISTAKE)

    async def _attempt(self) -> None:
        try:
            await self._live()
        except (Exception, asyncio.CancelledError) as error:
            if _is_to_end():
                raise
            # Whatever it was, another connection may live.
            self._lost(error)
        await asyncio.sleep(self._backoff.next())

    async def _live(self) -> None:
        """Raises why it was lost."""
        link = await self._connect()
        async with AsyncExitStack() as ends:
            # Each of them, last first, whatever the others do.
            # After the connection: what it still brings would begin the probe once more.
            ends.push_async_callback(self._probe.end)
            ends.push_async_callback(link.close)
            ends.callback(self._channels.end)
            ends.callback(self._doubt)
            self._fresh = True
            self._unanswered = self._unproved = 0
            link.read(self._read)
            if self._stood:
                self._metrics.count(Count.RESUBSCRIBED, len(self._channels.topics))
            self._channels.begin(link)
            self._link = link
            await self._watch(link)

    def _read(self, reader: Reader) -> Iterator[None]:
        topic_of, deliver = self._channels.topics.get, self._deliver
        while (reply := reader.gets()) is not False:
            if type(reply) is list and reply[0] == b"message":
                topic = topic_of(reply[1])
                if topic is not None:
                    for data in split(reply[2]):
                        position, envelope = parted(data) if data.startswith(POSITIONED) else (None, data)
                        try:
                            deliver(topic, envelope, position)
                        except Exception:
                            logger.exception(
                                "a message could not be delivered", extra=fields(Event.MESSAGE_NOT_DELIVERED)
                            )
                        yield
                    continue
                if reply[1] == self._probe.channel and self._probe.heard(reply[2]):
                    if self._probe.round_trip is not None:
                        self._metrics.observe(Observed.BROKER_ROUND_TRIP, self._probe.round_trip)
                    self._proved()
            else:
                # Whatever it says, it is there; a full disk refuses PING too, and brings messages as before.
                self._unanswered = 0
                self._answered(reply)
            yield

    def _answered(self, reply: Any) -> None:
        if isinstance(reply, ResponseError):
            self._channels.refused(reply)
        elif type(reply) is not list:
            self._channels.ponged()
        elif reply[0] == b"subscribe":
            self._channels.subscribed(reply[1])
            if reply[1] == self._probe.channel:
                self._probe.begin()
        elif reply[0] == b"unsubscribe":
            self._channels.unsubscribed(reply[1])
        elif reply[0] == b"pong":
            self._channels.ponged()

    async def _watch(self, link: Link) -> None:
        """Raises why the connection was lost."""
        while True:
            self._channels.ping()
            error = await link.lost(self._silence / _TURNS)
            if error is not None:
                raise error
            if link.was_behind():
                # Somebody who is busy with what he heard is not deaf.
                continue
            self._unanswered += 1
            self._unproved += self._probe.running
            if self._unanswered < _TURNS and self._unproved < _TURNS:
                continue
            refusal = self._probe.refusal
            silent = TimeoutError(f"nothing came back for {self._silence:g} s{_because(refusal)}")
            if self.ready:
                self._metrics.count(Count.BROKER_DEAF)
            if self._unanswered >= _TURNS or refusal is None:
                raise silent
            # It hears; another connection would not make what cannot be published come back.
            self._doubt()
            self._complain(silent)
            self._unproved = 0

    def _missed(self, topic: Topic) -> None:
        """A subscription was made again, on a connection that stood."""
        self._metrics.count(Count.RESUBSCRIBED)
        self._tell_missed(topic)

    def _doubt(self) -> None:
        if self.ready:
            self.ready = False
            turns = max(self._unanswered, self._unproved)
            self._deaf_since = self._loop.time() - turns * self._silence / _TURNS

    def _proved(self) -> None:
        self._unproved = 0
        refusal = self._channels.refusal
        if refusal is not None:
            # Deaf to a part of what somebody is in, whatever else comes.
            self._doubt()
            self._complain(refusal)
            return
        if self.ready and not self._fresh:
            return
        self.ready = True
        self._backoff.reset()
        if self._complained:
            self._complained = self._explained = False
            logger.log(
                logging.WARNING if self._stood else logging.INFO,
                "the broker at %s is %s",
                self._address,
                "back" if self._stood else "there",
                extra=fields(Event.BROKER_BACK, broker=self._address),
            )
        again = self._fresh and self._stood
        self._fresh, self._stood = False, True
        if not again:
            return
        self._metrics.count(Count.BROKER_RECONNECTED)
        try:
            self._resumed()
        except Exception:
            logger.exception("resuming after the broker came back failed", extra=fields(Event.BROKER_FAILED))

    def _lost(self, error: BaseException) -> None:
        if not self._fresh:
            self._fresh = True
            self._metrics.count(Count.BROKER_LOST)
        self._complain(error)

    def _complain(self, error: BaseException) -> None:
        refused = is_refusal(error)
        # Once, and once more where only later a server says why.
        if self._complained and (self._explained or not refused):
            return
        self._complained, self._explained = True, refused
        # What neither the network nor the server did is a mistake of ours, and wants its traceback.
        mistake = None if isinstance(error, RedisError | OSError) else error
        text = _LOST if self._stood else _NEVER_REACHED
        said = told(error) if isinstance(error, Exception) else error
        logger.warning(
            text,
            self._address,
            str(said) or type(said).__name__,
            exc_info=mistake,
            extra=fields(Event.BROKER_AWAY, broker=self._address, cause=str(said) or type(said).__name__),
        )


def _is_to_end() -> bool:
    """Only who cancels this task ends it: no future that was cancelled, and no mistake on the way out keeps it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _because(refusal: Exception | None) -> str:
    if refusal is None:
        return ""
    cause = refusal.__cause__ or refusal
    return f" ({str(cause) or type(cause).__name__})"
