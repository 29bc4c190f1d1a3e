"""What the kernel says of a peer, asked of sockets that may be gone."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from hubbub.transports.timeouts import acknowledged


@pytest.mark.parametrize("gone", [OSError(9, "Bad file descriptor"), ValueError("negative file descriptor: -1")])
def test_of_a_socket_that_is_closed_nothing_is_known(gone: Exception) -> None:
    """asyncio's socket says the first, uvloop's the second."""

    def getsockopt(*_: Any) -> bytes:
        raise gone

    transport: Any = SimpleNamespace(get_extra_info=lambda name: SimpleNamespace(getsockopt=getsockopt))
    assert acknowledged(transport) == 0


def test_of_no_socket_nothing_is_known() -> None:
    transport: Any = SimpleNamespace(get_extra_info=lambda name: None)
    assert acknowledged(transport) == 0


def test_of_one_that_took_all_it_is_what_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
        with here, there:
            here.sendall(b"x" * 100)
            assert len(there.recv(100, socket.MSG_WAITALL)) == 100
            transport: Any = SimpleNamespace(get_extra_info=lambda name: here)
            assert acknowledged(transport) in (0, 100, 101)
