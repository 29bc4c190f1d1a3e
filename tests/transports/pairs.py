"""Connected sockets, and what came out of them."""

import contextlib
import os
import socket
import time
from collections.abc import Sequence

Pair = tuple[socket.socket, socket.socket]


def over_tcp() -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = socket.create_connection(listener.getsockname())
        return listener.accept()[0], there


def descriptors(pairs: Sequence[Pair]) -> list[int]:
    return [here.fileno() for here, _ in pairs]


def received(there: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = there.recv(size - len(data))
        assert part, f"closed after {len(data)} of {size} bytes"
        data += part
    return data


def fill(fd: int) -> int:
    """How many bytes it takes until it takes no more.

    Nor a moment later: on a busy machine the kernel hands over what it has with a delay.
    """
    size, before = 0, -1
    while size > before:
        before = size
        with contextlib.suppress(BlockingIOError):
            while True:
                size += os.write(fd, bytes(65536))
        time.sleep(0.05)
    return size


def nothing_came(there: socket.socket) -> bool:
    there.setblocking(False)
    try:
        there.recv(1)
    except BlockingIOError:
        return True
    return False
