"""Whose handlers of signals stand where, before a hub is there, with it and after it."""

import asyncio
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

from hubbub.hub.server_process import ServerProcess
from hubbub.hub.signals import ShutdownSignals
from hubbub.testing import settle
from tests.hub.conftest import CLOSING, Hub, Server, register, told
from tests.kit.waiting import until


async def test_the_handlers_are_put_back_with_the_last_hub(server: Server, log: list[Any]) -> None:
    for _ in range(2):
        hub = Hub(log)
        signals = register(hub)
        assert signal.getsignal(signal.SIGTERM) != server.handle_exit
        assert signal.getsignal(signal.SIGINT) != server.handle_exit
        signals.unregister(hub)
        signals.unregister(hub)
        assert signal.getsignal(signal.SIGTERM) == server.handle_exit
        assert signal.getsignal(signal.SIGINT) == server.handle_exit
    told()
    assert log == ["SIGTERM"]


async def test_who_came_before_us_later_is_left_there_and_still_reaches_the_server(
    server: Server, log: list[Any]
) -> None:
    first, second = Hub(log), Hub(log)
    signals = register(first)
    ours = signal.getsignal(signal.SIGTERM)
    assert callable(ours)

    def theirs(number: int, frame: FrameType | None) -> None:
        log.append("theirs")
        ours(number, frame)

    signal.signal(signal.SIGTERM, theirs)
    inner = register(second)
    assert inner is not signals
    told()
    await until(lambda: "SIGTERM" in log, "passed on")
    assert log == [("drain", False), "drained", "theirs", ("drain", False), "drained", "SIGTERM"]
    inner.unregister(second)
    signals.unregister(first)
    assert signal.getsignal(signal.SIGTERM) is theirs
    told()
    assert log[6:] == ["theirs", "SIGTERM"]


async def test_a_signal_that_is_ignored_stays_so(server: Server, log: list[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hub = Hub(log)
    signals = register(hub)
    told(signal.SIGINT)
    await settle()
    assert log == []
    signals.unregister(hub)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


ALONE = """
import asyncio, os, signal
from hubbub.hub.server_process import ServerProcess
from hubbub.hub.signals import ShutdownSignals

class Hub:
    async def drain(self, *, at_once):
        print("drained", flush=True)

async def alone():
    ShutdownSignals.register(Hub(), closing=1)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(20)

asyncio.run(alone())
"""


def test_without_a_handler_the_signal_does_what_it_does() -> None:
    ended = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGTERM, "drained\n", "")


async def test_what_is_installed_of_a_loop_that_is_gone_is_passed_by(server: Server, log: list[Any]) -> None:
    loop = asyncio.new_event_loop()
    ShutdownSignals(loop, closing=CLOSING).add(Hub(log))
    loop.close()
    hub = Hub(log)
    signals = register(hub)
    told()
    await until(lambda: "SIGTERM" in log, "passed on")
    assert log == [("drain", False), "drained", "SIGTERM"]
    signals.unregister(hub)


async def test_off_the_main_thread_there_are_no_signals() -> None:
    async def join_there() -> ShutdownSignals | None:
        return ShutdownSignals.register(Hub([]), closing=CLOSING)

    before = signal.getsignal(signal.SIGTERM)
    assert await asyncio.to_thread(lambda: asyncio.run(join_there())) is None
    assert signal.getsignal(signal.SIGTERM) is before


async def test_the_server_is_found_behind_a_hub(server: Server, log: list[Any]) -> None:
    hub = Hub(log)
    signals = register(hub)
    assert ServerProcess().server is server
    assert ServerProcess().workers == 3
    signals.unregister(hub)
