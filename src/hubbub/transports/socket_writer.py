"""Messages to a socket: past asyncio straight to the descriptor as long as nothing is buffered.

The rest of a message that the kernel took in part is given to asyncio's transport, which says when it is gone (its
high-water mark is 0). Everything else stays in the connection's outbox, where it can still be dropped or replaced.
With TLS, asyncio's transport takes all.

asyncio closes the descriptor after `connection_lost`, not before: until then the number is ours, and afterwards
nothing is written to it. Whoever inherits the number gets nothing of what was meant for the one before.
"""

import asyncio
import os
from collections.abc import Sequence

from hubbub.ports.transport import Driven
from hubbub.protocol.codec import Prepared
from hubbub.transports.accelerator import DIRECT, send_all, send_each

# What is joined into one write for a reader that is behind: enough for a good rate, little to be stuck with.
_CHUNK = 64 * 1024
# A lane is what can be written in one go: to descriptors, frames of the same window. This one is no such lane.
_BY_ASYNCIO = -1


class Writing(asyncio.Protocol):
    """`fd` is -1 where it cannot be written to directly, or is gone; `bits` the window of permessage-deflate, or 0."""

    __slots__ = ("_busy", "_driven", "_socket", "bits", "fd", "lane")

    def __init__(self, driven: Driven, transport: asyncio.Transport, bits: int) -> None:
        self._driven = driven
        self._socket = transport
        self.bits = bits
        encrypted = transport.get_extra_info("ssl_object") is not None
        # asyncio pauses above the mark, its TLS at the mark: either way as soon as anything is buffered.
        transport.set_write_buffer_limits(high=int(encrypted))
        self._busy = transport.get_write_buffer_size() > 0
        socket = transport.get_extra_info("socket")
        self.fd: int = socket.fileno() if DIRECT and socket is not None and not encrypted else -1
        self.lane = bits if self.fd >= 0 else _BY_ASYNCIO

    def flush(self) -> None:
        while not self._busy:
            messages = self._driven.take(_CHUNK)
            if not messages:
                self._rest()
                return
            self._write(_joined(messages, self.bits))
            self._driven.sent(sum(map(len, messages)))

    def write(self, messages: Sequence[Prepared]) -> int | None:
        return self.offer(_joined(messages, self.bits), messages)

    @staticmethod
    def write_each(transports: Sequence["Writing"], messages: Sequence[Prepared]) -> list[int]:
        if any(transport.lane for transport in transports):
            one_each = enumerate(zip(transports, messages, strict=True))
            return [index for index, (transport, message) in one_each if transport.write((message,)) is not None]
        datas = [message.frame for message in messages]
        cut = send_each([transport.fd for transport in transports], datas)
        for index, sent in cut:
            transports[index].fell_short(datas[index], (messages[index],), sent)
        return [index for index, _ in cut]

    @staticmethod
    def write_all(transports: Sequence["Writing"], messages: Sequence[Prepared]) -> list[tuple[int, int]]:
        lanes = {transport.lane for transport in transports}
        if len(lanes) == 1 and _BY_ASYNCIO not in lanes:
            data = _joined(messages, transports[0].bits)
            return [
                (index, transports[index].fell_short(data, messages, sent))
                for index, sent in send_all([transport.fd for transport in transports], data)
            ]
        joined = {bits: _joined(messages, bits) for bits in {transport.bits for transport in transports}}
        return [
            (index, taken)
            for index, transport in enumerate(transports)
            if (taken := transport.offer(joined[transport.bits], messages)) is not None
        ]

    def abort(self) -> None:
        """Drop the socket now, whatever is still to be sent."""
        raise NotImplementedError

    def _rest(self) -> None:
        """Everything is out."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        sent = self._send(data)
        if sent < len(data):
            self._socket.write(memoryview(data)[sent:])

    def _send(self, data: bytes) -> int:
        """How much the kernel took; all of it where the socket is broken."""
        if self.fd < 0:
            return 0
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.abort()
            return len(data)

    def offer(self, data: bytes, messages: Sequence[Prepared]) -> int | None:
        """Write what `messages` make; None where all was taken, else how many of them."""
        if self.lane == _BY_ASYNCIO:
            self._socket.write(data)
            return None
        sent = self._send(data)
        return None if sent == len(data) else self.fell_short(data, messages, sent)

    def fell_short(self, data: bytes, messages: Sequence[Prepared], sent: int) -> int:
        """The kernel took `sent` bytes. How many messages are taken, the one that was cut, or is next, among them."""
        if sent < 0:
            self.abort()
            return len(messages)
        end = 0
        taken = 0
        while end <= sent:
            end += len(_frame(messages[taken], self.bits))
            taken += 1
        self._socket.write(memoryview(data)[sent:end])
        return taken


def _frame(message: Prepared, bits: int) -> bytes:
    return message.deflated(bits) if bits else message.frame


def _joined(messages: Sequence[Prepared], bits: int) -> bytes:
    if len(messages) == 1:
        return _frame(messages[0], bits)
    return b"".join([_frame(message, bits) for message in messages])
