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
from typing import Protocol

from hubbub.ports.metrics import Traffic
from hubbub.protocol.codec import Prepared
from hubbub.protocol.frames import text_frames
from hubbub.transports.accelerator import DIRECT, send_all, send_each
from hubbub.transports.null import NOWHERE

# A group is what can be written in one go: to descriptors, frames of the same window. This one is no such group.
_BY_ASYNCIO = -1


class Owner(Protocol):
    """Whose socket it is: told when that fails."""

    def abort(self) -> None: ...


class SocketWriter:
    """`fd` is -1 where it cannot be written to directly, or is gone; `bits` the window of permessage-deflate, or 0.

    `busy`: something is buffered below, so nothing more is to be written. `group`: those of one can be written to in
    one go. `traffic`: where it is counted, before it is known what of it goes out; the rest is taken back.
    """

    __slots__ = ("_owner", "bits", "busy", "fd", "group", "socket", "traffic")

    def __init__(self, owner: Owner, transport: asyncio.Transport, bits: int, traffic: Traffic) -> None:
        self._owner = owner
        self.traffic = traffic
        self.socket = transport
        self.bits = bits
        encrypted = transport.get_extra_info("ssl_object") is not None
        # asyncio pauses above the mark, its TLS at the mark: either way as soon as anything is buffered.
        transport.set_write_buffer_limits(high=int(encrypted))
        self.busy = transport.get_write_buffer_size() > 0
        socket = transport.get_extra_info("socket")
        self.fd: int = socket.fileno() if DIRECT and socket is not None and not encrypted else -1
        self.group = bits if self.fd >= 0 else _BY_ASYNCIO

    @property
    def gone(self) -> bool:
        """Whether there is nothing to write to any more."""
        return self.socket is NOWHERE

    def let_go(self) -> asyncio.Transport:
        """Write to nothing from now on; asyncio's transport, for what is to become of it."""
        socket, self.socket = self.socket, NOWHERE
        self._owner = NOWHERE
        self.fd = -1
        return socket

    def send(self, data: bytes) -> None:
        """Write all of it: asyncio's transport has what the kernel does not take."""
        self.traffic.bytes_out += len(data)
        sent = self._send(data)
        if sent < len(data):
            self.socket.write(memoryview(data)[sent:])

    def send_messages(self, messages: Sequence[Prepared]) -> None:
        """As `send`."""
        self.send(_joined(messages, self.bits))

    def write(self, messages: Sequence[Prepared]) -> int | None:
        return self._offer(_joined(messages, self.bits), messages)

    @staticmethod
    def write_each(writers: Sequence["SocketWriter"], messages: Sequence[Prepared]) -> list[int]:
        fds = [writer.fd for writer in writers if not writer.group]
        if len(fds) < len(writers):
            one_each = enumerate(zip(writers, messages, strict=True))
            return [index for index, (writer, message) in one_each if writer.write((message,)) is not None]
        datas = text_frames([message.data for message in messages])
        traffic = writers[0].traffic
        for data in datas:
            traffic.bytes_out += len(data)
        cut = send_each(fds, datas)
        for index, sent in cut:
            writers[index]._fell_short(datas[index], (messages[index],), sent)  # noqa: SLF001 - one of its own kind
        return [index for index, _ in cut] if cut else []

    @staticmethod
    def write_all(writers: Sequence["SocketWriter"], messages: Sequence[Prepared]) -> list[tuple[int, int]]:
        group = writers[0].group
        fds = [writer.fd for writer in writers if writer.group == group]
        if len(fds) == len(writers) and group != _BY_ASYNCIO:
            data = _joined(messages, group)
            writers[0].traffic.bytes_out += len(data) * len(fds)
            cut = send_all(fds, data)
            # Nobody, nearly always.
            return cut and [
                (index, writers[index]._fell_short(data, messages, sent))  # noqa: SLF001 - one of its own kind
                for index, sent in cut
            ]
        joined = {bits: _joined(messages, bits) for bits in {writer.bits for writer in writers}}
        return [
            (index, taken)
            for index, writer in enumerate(writers)
            if (taken := writer._offer(joined[writer.bits], messages)) is not None  # noqa: SLF001 - one of its own kind
        ]

    def _send(self, data: bytes) -> int:
        """How much the kernel took; all of it where the socket is broken."""
        if self.fd < 0:
            return 0
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._owner.abort()
            return len(data)

    def _offer(self, data: bytes, messages: Sequence[Prepared]) -> int | None:
        """Write what `messages` make; None where all was taken, else how many of them."""
        self.traffic.bytes_out += len(data)
        if self.group == _BY_ASYNCIO:
            self.socket.write(data)
            return None
        sent = self._send(data)
        return None if sent == len(data) else self._fell_short(data, messages, sent)

    def _fell_short(self, data: bytes, messages: Sequence[Prepared], sent: int) -> int:
        """The kernel took `sent` bytes. How many messages are taken, the one that was cut, or is next, among them."""
        if sent < 0:
            self.traffic.bytes_out -= len(data)
            self._owner.abort()
            return len(messages)
        end = 0
        taken = 0
        while end <= sent:
            end += len(_frame(messages[taken], self.bits))
            taken += 1
        self.traffic.bytes_out -= len(data) - end  # which comes back, and is counted where it goes out
        self.socket.write(memoryview(data)[sent:end])
        return taken


def _frame(message: Prepared, bits: int) -> bytes:
    return message.deflated(bits) if bits else message.frame


def _joined(messages: Sequence[Prepared], bits: int) -> bytes:
    if bits:
        return b"".join([message.deflated(bits) for message in messages])
    if len(messages) == 1:
        return text_frames([messages[0].data])[0]
    return b"".join(text_frames([message.data for message in messages]))
