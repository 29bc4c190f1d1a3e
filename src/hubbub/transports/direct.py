"""A socket of our own: bytes in by callback, frames out by one write for all that leaves in a turn
(`socket_writer.py`).

An idle connection is this object, its parser and asyncio's transport: no task, no queue, no timer.

What an application cannot see is bounded here: control frames that flood, messages that never become whole, how much is
read in a turn of the loop (`valve.py`), a peer that takes nothing. Who takes nothing for 10 s is aborted: `close` of a
transport waits until its buffer is empty, which is never. The same 10 s hold for a transport that had something
buffered when it was taken over.

It is longer than others, because what is read, what is written and how it ends are one socket's, and each can end it.
"""

import asyncio
from collections.abc import Callable

from hubbub import closes
from hubbub.closes import Close
from hubbub.ports.transport import NO_WORD, Driven
from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import (
    PORTION,
    Broken,
    Closing,
    Item,
    Opcode,
    Parser,
    Ping,
    Pong,
    close_frame,
    control_frame,
)
from hubbub.protocol.session import FIRST_TOO_BIG
from hubbub.scheduling.token_bucket import TokenBucket
from hubbub.transports import lingering, timeouts
from hubbub.transports.null import NOBODY
from hubbub.transports.socket_writer import SocketWriter
from hubbub.transports.timeouts import Deadline, Stall, or_abort
from hubbub.transports.valve import Valve

FRAGMENTS = 1024
"""Frames of one message, empty ones counted."""
PINGS, PINGS_AT_ONCE = 10.0, 20
"""Pings and pongs a second in the long run, and at once."""
_CHUNK = 64 * 1024
"""Joined into one write for a reader that is behind: enough for a good rate, little to be stuck with."""
_WEIGHED = 4 * 1024
"""Bytes that are told of together: smaller messages are not worth a call each."""
DISCARDED, _DISCARDING = 256, 0.02
"""Frames that are read after the end in one go, only to find the peer's own end; and seconds until the next."""
_DISCARDED_BYTES = 64 * 1024 * 1024
"""Bytes a second that are read after the end."""
PINGING_TOO_MUCH = closes.FLOODING.because("too many pings")
TAKES_NOTHING = closes.TOO_SLOW.because(f"this reader took nothing for {timeouts.STALLED:.0f} seconds")
TOO_LONG_IN_COMING = closes.FLOODING.because("a message took too long to become whole")


class DirectTransport(asyncio.Protocol):
    """Takes over an accepted WebSocket.

    `limit`: bytes of a message; `closing`: seconds for a peer to take what is left and to answer a close frame;
    `bits`: the window of permessage-deflate, 0 where it was not negotiated; `gone`: called at the very end.
    """

    __slots__ = (
        "_alarm",
        "_assembly",
        "_close",
        "_close_sent",
        "_closing",
        "_driven",
        "_gone",
        "_limit",
        "_over",
        "_parser",
        "_pings",
        "_quiet",
        "_traffic",
        "_unread",
        "_valve",
        "_waiting",
        "_weight",
        "writer",
    )

    pings = True
    outlives = True
    """The socket does not end with the ASGI call."""

    def __init__(
        self,
        driven: Driven,
        transport: asyncio.Transport,
        *,
        limit: int,
        closing: float,
        bits: int,
        inflate: Inflate | None,
        gone: Callable[["DirectTransport"], object],
    ) -> None:
        self._driven = driven
        self._traffic = driven.traffic
        self.writer = SocketWriter(self, transport, bits, self._traffic)
        self._limit = limit
        # Nobody's first message is as long as any message may be.
        self._parser = Parser(limit=min(limit, driven.session.limit), inflate=inflate, fragments=FRAGMENTS)
        self._unread: list[Item] | None = None
        self._valve: Valve | None = None
        self._weight = 0
        self._closing = closing
        self._gone = gone
        self._close: Close | None = None
        self._close_sent = False
        self._quiet: Deadline | None = None
        self._over = False
        self._pings: TokenBucket | None = None
        self._alarm: asyncio.TimerHandle | Stall | None = None
        self._assembly: Deadline | None = None
        self._waiting: list[asyncio.Future[None]] | None = None
        if self.writer.busy:
            self._watch_stall()

    @property
    def closing(self) -> bool:
        """Whether one of the two sides has ended it."""
        return self._close is not None

    # What the connection calls.

    def ping(self) -> None:
        if not (self.writer.busy or self._close):
            self.writer.send(control_frame(Opcode.PING))

    def flush(self) -> None:
        while not self.writer.busy:
            messages = self._driven.outbound.take(_CHUNK)
            if not messages:
                self._rest()
                return
            self.writer.send_messages(messages)
            self._driven.outbound.sent(sum(map(len, messages)))

    def close(self, close: Close) -> None:
        if self._close is None and not self.writer.gone:
            self._close = close
            self._set_alarm(self._closing)
            self.flush()
            self.read_on()
            if self._valve is not None:
                # Whoever sent too much is to be heard as well: its own end may have less time than it was to wait.
                self._valve.hasten(_DISCARDING)

    def pause_reading(self, seconds: float) -> None:
        if not self.writer.gone:
            self._shut().pause(seconds)

    def stop_reading(self) -> None:
        if not self.writer.gone:
            self._shut().stop()

    def read_on(self) -> None:
        if self._valve is not None:
            self._valve.read_on()

    # What the route that took it over calls.

    async def wait(self) -> None:
        """Until the socket is gone."""
        if not self._over:
            future = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), future]
            await future

    async def stop(self) -> None:
        """The route has ended: nothing of this outlives it."""
        self.abort()

    def begin_with(self, data: bytes) -> None:
        """What came before the socket was taken over; reading was paused so that nothing overtakes it."""
        self.data_received(data)
        if self._valve is None or not self._valve.shut:
            self.writer.socket.resume_reading()

    def end(self, close: Close) -> None:
        """As the connection's own `close`, for whoever has only the socket: the route's `websocket`."""
        self._driven.close(close)

    def abort(self) -> None:
        """Drop the socket now, whatever is still to be sent."""
        self._set_alarm(None)
        self.writer.let_go().abort()

    # What the server calls.

    def shutdown(self) -> None:
        """The server ends (uvicorn's name for it)."""
        with or_abort(self):
            self._driven.close(closes.RESTARTING)

    # What the event loop calls.

    def data_received(self, data: bytes = b"") -> None:
        """A portion of it, and of what had come before, which is read first; the valve calls this for what is left."""
        if self._quiet is not None and self._quiet.running:
            if lingering.ends_in_close(data):
                self._let_go()
            self._quiet.start()
        parser, anew = self._parser, False
        first = parser.limit < self._limit
        size = len(data)
        self._weight += size
        self._traffic.bytes_in += size
        items, self._unread = self._unread, None
        if items is None or data:
            most = 1 if first else PORTION if self._close is None else DISCARDED
            items = (items or []) + parser.feed(data, most)
        for at, item in enumerate(items):
            if type(item) is str or isinstance(item, (str, bytes)):
                anew = True
                if self._close is None:
                    self._driven.receive(item)
                    if self._valve is not None and self._valve.stopped:
                        self._unread = items[at + 1 :]
                        break
            else:
                self._control(item)
        if first:
            parser.limit = min(self._limit, self._driven.session.limit)
        if self._weight > _WEIGHED or parser.cost or parser.more or self._unread:
            self._weigh()
        if parser.assembling:
            self._watch_assembly(anew=anew)
        elif self._assembly is not None:
            self._assembly.stop()

    def pause_writing(self) -> None:
        self.writer.busy = True
        self._driven.outbound.blocked()
        if self._close is None:
            self._watch_stall()

    def resume_writing(self) -> None:
        self.writer.busy = False
        if self._close is None:
            self._set_alarm(None)
        self.flush()

    def eof_received(self) -> None:
        """The peer has hung up without a word. The transport closes itself when its buffer is empty."""
        self._leave(NO_WORD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self.writer.let_go()
        self._set_alarm(None)
        for deadline in (self._assembly, self._quiet):
            if deadline is not None:
                deadline.cancel()
        self._assembly = self._quiet = None
        if self._valve is not None:
            self._valve.end()
            self._valve = None
        self._gone(self)
        for future in self._waiting or ():
            if not future.done():
                future.set_result(None)
        driven, self._driven = self._driven, NOBODY
        driven.lost()

    # How it works.

    def _weigh(self) -> None:
        """Tell of what came, and see to it that what is left is read in its time."""
        self._weight += self._parser.cost
        self._parser.cost = 0
        if self._weight > _WEIGHED:
            weight, self._weight = self._weight, 0
            if self._close is None:
                self._driven.weigh(weight)
            else:
                self._shut().pause(weight / _DISCARDED_BYTES)
        if self._parser.more or self._unread:
            self._shut().pause(0.0 if self._close is None else _DISCARDING)

    def _shut(self) -> Valve:
        if self._valve is None:
            self._valve = Valve(self.writer, self.data_received)
        return self._valve

    def _control(self, item: Ping | Pong | Closing | Broken) -> None:
        match item:
            case Ping() | Pong():
                self._driven.heard()
                if self._is_flooding():
                    self._driven.close(PINGING_TOO_MUCH)
                elif isinstance(item, Ping) and not (self.writer.busy or self._close):
                    # RFC 6455 section 5.5.3 asks for an answer to the latest ping only; a full buffer gets none.
                    self.writer.send(control_frame(Opcode.PONG, item.payload))
            case Closing(code, reason):
                if not self._close_sent:
                    # What is buffered are whole frames, or will be: this one may come after them.
                    (self.writer.socket.write if self.writer.busy else self.writer.send)(close_frame(code))
                self._leave(code, reason)
                self._let_go()
            case Broken(close, ended):
                if close is closes.TOO_BIG and self._parser.limit < self._limit:
                    close = FIRST_TOO_BIG
                # No frame of it will be read, so that it ends or is quiet must do: `lingering.py` says why.
                self._quiet = Deadline(lingering.QUIET, self._let_go)
                self._driven.close(close)
                if self._close_sent and ended:
                    self._let_go()
                elif self._close_sent:
                    self._quiet.start()

    def _is_flooding(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._pings is None:
            self._pings = TokenBucket(PINGS, PINGS_AT_ONCE, now)
        return self._pings.spend(now) > 0

    def _leave(self, code: int, reason: str = "") -> None:
        """There is nobody any more to send to; what is buffered has its time."""
        self.writer.fd = -1
        self._close = self._close or closes.FINISHED
        self._close_sent = True
        if not self.writer.gone:
            self._set_alarm(self._closing)
        driven, self._driven = self._driven, NOBODY
        driven.lost(code, reason)

    def _let_go(self) -> None:
        # asyncio's TLS, closed twice, cannot be aborted any more.
        if not self.writer.socket.is_closing():
            self.writer.socket.close()

    def _rest(self) -> None:
        """Everything is out."""
        if self._close is None:
            self._driven.outbound.drained()
        elif not self._close_sent:
            self._close_sent = True
            self.writer.send(close_frame(self._close.code, self._close.reason))
            if self._quiet is not None:
                self._quiet.start()

    def _watch_assembly(self, *, anew: bool) -> None:
        """A message has begun; `anew` says that it is another one than last time."""
        if self._assembly is None:
            self._assembly = Deadline(timeouts.ASSEMBLED, self._not_whole)
        if anew or not self._assembly.running:
            self._assembly.start()

    def _not_whole(self) -> None:
        if self._assembly is not None and self._valve is not None and self._valve.shut:
            self._assembly.start()  # it is we who do not read
            return
        with or_abort(self):
            self._driven.close(TOO_LONG_IN_COMING)

    def _watch_stall(self) -> None:
        self._set_alarm(None)
        self._alarm = Stall(self.writer.socket, self._stalled)

    def _stalled(self) -> None:
        # Closed first, because then it is told and counted like every other reader that is too slow.
        self._driven.close(TAKES_NOTHING)
        self.abort()

    def _set_alarm(self, seconds: float | None) -> None:
        """In so many seconds the socket is aborted."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self.abort)
