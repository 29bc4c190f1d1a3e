"""Whether a peer takes what it is sent, asked of the kernel for every kind of socket, and where it cannot say."""

import asyncio
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hubbub.transports import timeouts
from hubbub.transports.timeouts import Progress, Stall
from tests.kit.waiting import until
from tests.transports.pairs import Pair, fill, over_tcp


def progress(peer: Any, buffered: int = 0) -> Progress:
    transport: Any = SimpleNamespace(get_extra_info=lambda name: peer, get_write_buffer_size=lambda: buffered)
    return Progress(transport)


@pytest.mark.parametrize("gone", [OSError(9, "Bad file descriptor"), ValueError("negative file descriptor: -1")])
def test_of_a_socket_that_is_closed_nothing_is_known(gone: Exception) -> None:
    """asyncio's socket says the first, uvloop's the second."""

    def fileno() -> int:
        raise gone

    assert progress(SimpleNamespace(fileno=fileno)).queued is None
    assert progress(SimpleNamespace(fileno=lambda: -1)).queued is None
    assert progress(None).queued is None


@pytest.mark.parametrize("pair", [over_tcp, socket.socketpair], ids=["tcp", "unix"])
def test_what_is_taken_leaves_the_queue(pair: Callable[[], Pair]) -> None:
    here, there = pair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        fill(here.fileno())
        full = progress(here)
        assert full.queued
        assert not progress(here).since(full)
        while not progress(here).since(full):
            there.recv(65536)


def test_what_is_given_to_it_is_no_progress() -> None:
    assert not progress(None, 9).since(progress(None, 9))
    assert not progress(None, 10).since(progress(None, 9))
    assert progress(None, 8).since(progress(None, 9))


@pytest.mark.alone
@pytest.mark.parametrize("kernel", [True, False], ids=["says", "says nothing"])
@pytest.mark.parametrize("reads", [True, False], ids=["slow", "stalled"])
async def test_a_reader_on_a_unix_socket(kernel: bool, reads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: between two moments at which asyncio may write again lie several in which it is looked."""
    monkeypatch.setattr(timeouts, "STALLED", 0.2)
    monkeypatch.setattr(timeouts, "UNSEEN", 1.0)
    if not kernel:
        monkeypatch.setattr(timeouts, "_OUTQ", None)
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    with there:
        here.setblocking(False)
        there.setblocking(False)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, here)
        whole = bytes(500_000)
        transport.write(whole)
        rung: list[bool] = []
        stall = Stall(transport, lambda: rung.append(True))
        came = 0
        while reads and came < len(whole) - 150_000:
            came += len(await loop.sock_recv(there, 20_000))
            await asyncio.sleep(0.05)
        if reads:
            assert not rung
        else:
            await until(lambda: rung, "seen")
        stall.cancel()
        transport.abort()
