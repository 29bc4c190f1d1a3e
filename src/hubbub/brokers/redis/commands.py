"""One connection for all commands of a worker, so that Redis sees them in the order in which they were asked for.

What is asked within one turn of the loop, or while a round is on its way, leaves as the next round: one write, then the
replies. In a round the messages of one channel leave together, as one PUBLISH or one call of the script that keeps
them. A message may pass another channel's, as two callers' may anyway, but never a command of another kind: it may be a
script that announces on its channel. A pool, redis-py's own way, gives concurrent publishes to several connections and
thereby reorders them.

A caller that is cancelled or out of time leaves a reply that nobody reads; the connection stays in step, because the
round belongs to nobody. What had not left by then never does. Nothing is ever sent twice, except to a server that
forgot the script and has done nothing: then again before all that waits, so that messages keep their order.
"""

import asyncio
import contextvars
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoScriptError, RedisError, ResponseError

from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.refusals import told, unavailable
from hubbub.brokers.redis.requests import Request, Script, Sent, size_of
from hubbub.brokers.redis.resp import Argument, Reader
from hubbub.errors import Unavailable
from hubbub.ports.logs import Event, fields

logger = logging.getLogger("hubbub.brokers.redis")

#: More than this in one round, in commands or in bytes, would keep the first of them waiting for the last.
_ROUND = 512
_ROUND_BYTES = 1024 * 1024


class Commands:
    """Every call ends within `deadline` seconds or raises Unavailable."""

    def __init__(self, connect: Callable[[], Awaitable[Link]], *, deadline: float) -> None:
        self._connect = connect
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        # What leaves together is several callers', and one alarm is all of theirs.
        self._context = contextvars.copy_context()
        self._waiting: deque[Request] = deque()
        self._round: deque[Sent] = deque()
        # Of this round what the server did not know the script of.
        self._again: list[Request] = []
        self._round_due = 0.0
        self._leaving = False
        # One for all calls, because the first that was asked is the first to be due.
        self._alarm: asyncio.TimerHandle | None = None
        self._scripts: dict[Argument, bytes] = {}
        self._wanted = asyncio.Event()
        self._link: Link | None = None
        # What the server was sent whole on this link.
        self._known: set[Argument] = set()
        self._ends_for: Exception | None = None
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._run(), name="hubbub-broker-commands")

    @property
    def rests(self) -> bool:
        """Whether no deadline is watched."""
        return self._alarm is None

    async def call(self, *command: Argument) -> Any:
        """The reply. A PUBLISH may leave together with others, and its message is then one of a bundle.

        What the server refuses raises Unavailable too, with its reason as `__cause__`.
        """
        if command[0] == b"PUBLISH":
            return await self._answer(command, command[1], 1)
        return await self._answer(command)

    async def run(self, script: Script, keys: Sequence[bytes], *arguments: Argument) -> Any:
        """What the script returned."""
        return await self._answer(self._scripted(script, keys, arguments))

    async def run_together(
        self, channel: bytes, script: Script, keys: Sequence[bytes], *arguments: Argument
    ) -> tuple[Any, int]:
        """What the script returned for all whose messages left together, and how many of them came before this one.

        The last argument is the message. The one before it is whatever the first of them gave; all others are equal.
        """
        reply: tuple[Any, int] = await self._answer(self._scripted(script, keys, arguments), channel, 2)
        return reply

    async def run_joined(self, channel: bytes, script: Script, keys: Sequence[bytes], *arguments: Argument) -> Any:
        """What the script returned, which publishes its last argument: a message, or a bundle as of PUBLISH."""
        return await self._answer(self._scripted(script, keys, arguments), channel, 1)

    def _scripted(self, script: Script, keys: Sequence[bytes], arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
        self._scripts[script.sha] = script.body
        return (b"EVALSHA", script.sha, len(keys), *keys, *arguments)

    async def _answer(self, command: tuple[Argument, ...], channel: Argument | None = None, own: int = 0) -> Any:
        try:
            return await self._ask(command, channel, own)
        except (RedisError, OSError) as error:
            raise unavailable(error) from told(error)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if self._alarm is not None:
            self._alarm.cancel()
        self._fail_round(NotConnected("stopped"))
        self._fail_waiting(NotConnected("stopped"))

    def connect_again(self, error: Exception) -> None:
        """Leave this link, for that reason, when what is on its way has been answered."""
        self._ends_for = error
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self._ends_for is not None and self._link is not None and not self._round:
            self._link.fail(self._ends_for)

    def _ask(self, command: tuple[Argument, ...], channel: Argument | None, own: int) -> asyncio.Future[Any]:
        if self._task is None:
            raise Unavailable
        due = self._loop.time() + self._deadline
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(Request(command, reply, due, channel, own))
        if self._alarm is None:
            self._alarm = self._loop.call_at(due, self._end_overdue, context=self._context)
        if self._link is None:
            self._wanted.set()
        else:
            self._leave_soon()
        return reply

    def _leave_soon(self) -> None:
        if not self._leaving and not self._round:
            self._leaving = True
            self._loop.call_soon(self._leave, context=self._context)

    def _leave(self) -> None:
        self._leaving = False
        if self._link is None or not self._link.up or self._round:
            return
        size = 0
        # Which may still take a message of their channel.
        open_: dict[Argument, Sent] = {}
        while self._waiting and len(self._round) < _ROUND and size < _ROUND_BYTES:
            request = self._waiting.popleft()
            if request.reply.done():
                continue
            size += size_of(request.command)
            if request.channel is None:
                open_.clear()
                self._round.append(Sent(self._whole(request)))
                continue
            bundle = open_.get(request.channel)
            if bundle is None or not bundle.takes(request):
                open_[request.channel] = bundle = Sent(self._whole(request))
                self._round.append(bundle)
        if self._round:
            self._round_due = self._loop.time() + self._deadline
            self._link.write(b"".join([sent.packed() for sent in self._round]))

    def _whole(self, request: Request) -> Request:
        """With the script itself, where the server has not been sent it on this link."""
        name, sha = request.command[:2]
        if name != b"EVALSHA" or sha in self._known:
            return request
        self._known.add(sha)
        return request._replace(command=(b"EVAL", self._scripts[sha], *request.command[2:]))

    def _read(self, reader: Reader) -> Iterator[None]:
        while (answer := reader.gets()) is not False:
            if not self._round:
                raise NotConnected("the server said what nobody asked")
            sent = self._round.popleft()
            if isinstance(answer, NoScriptError):
                self._known.discard(sent.requests[0].command[1])
                self._again += sent.requests
            elif isinstance(answer, ResponseError):
                for request in sent.requests:
                    _fail(request.reply, answer)
            else:
                for at, request in enumerate(sent.requests):
                    if not request.reply.done():
                        request.reply.set_result((answer, at) if request.own == 2 else answer)
            if not self._round and self._again:
                self._waiting.extendleft(reversed(self._again))
                self._again.clear()
            if not self._round:
                self._end_if_unused()
                # Not at once: those who were answered may have more to ask, and it leaves together.
                self._leave_soon()
            yield

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            began = self._loop.time()
            try:
                link = await self._connect()
            except Exception as error:  # noqa: BLE001 - whoever asked hears of it
                # Who asked meanwhile has an attempt of its own: this one may have been near its end.
                self._fail_waiting(_told(error), until=began + self._deadline)
            else:
                await self._use(link)
            self._forget_answered()
            if self._waiting:
                self._wanted.set()

    async def _use(self, link: Link) -> None:
        """Returns when it is lost."""
        try:
            link.read(self._read)
            self._link = link
            self._known.clear()
            self._ends_for = None
            self._leave_soon()
            lost = await link.lost()
        finally:
            self._link = None
            await link.close()
        self._fail_round(_told(lost or NotConnected("lost")))

    def _end_overdue(self) -> None:
        """End the calls whose time is over, and a round that is on its way for longer than a call may take."""
        now, self._alarm = self._loop.time(), None
        late = TimeoutError(f"no answer within {self._deadline:g} s")
        if self._round and self._round_due <= now and self._link is not None:
            self._link.fail(late)
        pending = [request for sent in self._round for request in sent.requests]
        for request in chain(pending, self._again, self._waiting):
            if request.due <= now:
                _fail(request.reply, late)
        self._forget_answered()
        due = [request.due for request in (*pending, *self._again, *self._waiting) if not request.reply.done()]
        if self._round and self._link is not None and self._link.up:
            due.append(self._round_due)
        if due:
            self._alarm = self._loop.call_at(min(due), self._end_overdue, context=self._context)

    def _fail_round(self, error: Exception) -> None:
        while self._round:
            for request in self._round.popleft().requests:
                _fail(request.reply, error)
        for request in self._again:
            _fail(request.reply, error)
        self._again.clear()

    def _fail_waiting(self, error: Exception, until: float = math.inf) -> None:
        """Those whose time is over by then."""
        while self._waiting and self._waiting[0].due <= until:
            _fail(self._waiting.popleft().reply, error)

    def _forget_answered(self) -> None:
        while self._waiting and self._waiting[0].reply.done():
            self._waiting.popleft()


def _told(error: Exception) -> RedisError | OSError:
    """What callers may be told. A mistake of ours is logged instead."""
    if isinstance(error, RedisError | OSError):
        return error
    logger.error("the broker's commands failed", exc_info=error, extra=fields(Event.BROKER_FAILED))
    return NotConnected(type(error).__name__)


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
