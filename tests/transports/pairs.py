"""Connected sockets, and what came out of them."""

import socket
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


def fill(here: socket.socket) -> int:
    """How many bytes it takes until it takes no more."""
    size = 0
    while True:
        try:
            size += here.send(bytes(65536))
        except BlockingIOError:
            return size


def nothing_came(there: socket.socket) -> bool:
    there.setblocking(False)
    try:
        there.recv(1)
    except BlockingIOError:
        return True
    return False
