"""`hubbub serve` on real processes: who answers, who is replaced, and that nothing is left."""

import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.cli.conftest import ask
from tests.kit.running import HUBBUB, Served, alive, clean_environment
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import wait_for


def pids(server: Served, count: int) -> set[int]:
    seen: set[int] = set()

    def all_answered() -> bool:
        seen.add(int(ask(server)["pid"]))
        return len(seen) >= count

    wait_for(all_answered, within=30, what=f"answers by {count} workers")
    return seen


def all_ended(server: Served) -> Callable[[], None]:
    """To be called once the command has ended: its workers and its Valkey ended before it did."""
    waited_for = {*server.workers(), *({server.valkey} if server.valkey else ())}
    others = server.descendants() - waited_for

    def check() -> None:
        assert not [pid for pid in waited_for if alive(pid)]
        # Python's resource tracker leaves when it notices that nobody is left.
        wait_for(lambda: not any(alive(pid) for pid in others), what=f"none of {others} is alive")

    return check


def test_one_worker_is_the_command_itself_on_memory(here: Path) -> None:
    with Served("app:app", cwd=here) as server:
        assert ask(server)["pid"] == server.pid
        assert server.valkey is None
        assert server.descendants() == set()
        assert f"Hubbub serves app:app at {server.url} (1 worker, memory)\n" in server.output


def test_three_workers_answer_and_share_an_embedded_valkey(here: Path) -> None:
    with Served("app:app", "--workers", "3", cwd=here) as server:
        assert pids(server, 3) == set(server.workers())
        assert server.valkey is not None
        assert alive(server.valkey)
        said = ask(server)
        assert said["HUBBUB_WORKERS"] == "3"
        assert said["HUBBUB_BROKER"].startswith("unix://")
        assert said["HUBBUB_PORT"] == server.url.rpartition(":")[2]


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_with_0(here: Path, workers: str, number: int) -> None:
    with Served("app:app", "--workers", workers, cwd=here) as server:
        check = all_ended(server)
        assert server.stop(number) == 0, server.output
        check()
        assert "Traceback" not in server.output


@pytest.mark.parametrize("args", [("--workers", "1"), ("--workers", "3"), ("--reload",)])
def test_ctrl_c_reaches_the_whole_group_and_ends_everything_with_0(here: Path, args: tuple[str, ...]) -> None:
    with Served("app:app", *args, cwd=here) as server:
        check = all_ended(server)
        server.interrupt()
        assert server.wait() == 0, server.output
        check()
        assert "Traceback" not in server.output


LATE = """
import pathlib, time
from fastapi import FastAPI
app = FastAPI()
pathlib.Path("began").touch()
"""
CATCHES_ALL = """
try:
    time.sleep(60)
except BaseException:
    pass
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", CATCHES_ALL], ids=["asleep", "catches all"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_import_ends_it_with_0(here: Path, number: int, then: str) -> None:
    (here / "late.py").write_text(LATE + then)
    command = subprocess.Popen(
        [HUBBUB, "serve", "late:app", "--port", "0"], cwd=here, env=clean_environment(), stderr=subprocess.PIPE
    )
    try:
        wait_for((here / "began").exists, within=20, what="the import began")
        command.send_signal(number)
        _, errors = command.communicate(timeout=20)
        assert (command.returncode, errors) == (0, b"")
    finally:
        command.kill()
        command.wait()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_under_way_is_finished(here: Path, workers: str) -> None:
    with Served("app:app", "--workers", workers, cwd=here) as server:
        answers: list[int] = []
        slow = threading.Thread(
            target=lambda: answers.append(httpx.get(server.url + "/slow", trust_env=False, timeout=30).status_code)
        )
        slow.start()
        port = int(server.url.rpartition(":")[2])

        def under_way() -> bool:
            connections = (
                connection for pid in server.workers() for connection in psutil.Process(pid).net_connections("tcp")
            )
            return any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in connections)

        wait_for(under_way, what="the connection at a worker")
        assert server.stop() == 0
        slow.join(30)
        assert answers == [200]


def test_a_killed_worker_is_replaced(here: Path) -> None:
    with Served("app:app", "--workers", "2", cwd=here) as server:
        first = pids(server, 2)
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not alive(victim), what="the worker is gone")
        wait_for(lambda: len(server.workers()) == 2, within=30, what="two workers again")
        assert victim not in pids(server, 2)


def test_a_worker_that_dies_while_it_owes_an_answer_is_replaced_at_once(here: Path) -> None:
    """Not after the 30 s for which a busy one is waited for."""
    with Served("app:app", "--workers", "2", cwd=here) as server:
        victim = min(pids(server, 2))
        os.kill(victim, signal.SIGSTOP)
        # The parent asks twice a second.
        time.sleep(1.5)
        watch = Stopwatch()
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len({*server.workers()} - {victim}) == 2, within=60, what="two workers again")
        assert watch.own < 15


@pytest.mark.parametrize("args", [("--workers", "3"), ("--reload",)])
def test_nothing_outlives_a_parent_that_was_killed(here: Path, args: tuple[str, ...]) -> None:
    with Served("app:app", *args, cwd=here) as server:
        family = {*server.workers(), *server.descendants()}
        assert len(family) >= (4 if server.valkey else 1)
        server.kill()
        wait_for(lambda: not any(alive(pid) for pid in family), what=f"none of {family} is alive")


def test_workers_that_start_while_the_parent_is_killed_end_too(here: Path) -> None:
    (here / "late.py").write_text("import time\ntime.sleep(2)\nfrom app import app\n")
    with Served("late:app", "--workers", "2", cwd=here, ready=None) as server:
        wait_for(lambda: len(server.workers()) == 2, within=20, what="two workers")
        family = server.descendants()
        server.kill()
        wait_for(lambda: not any(alive(pid) for pid in family), within=30, what=f"none of {family} is alive")


STUCK = """
import asyncio
from app import app as inner

async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        return await inner(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.sleep(3600)
"""


@pytest.mark.complains("timeout graceful shutdown exceeded")
@pytest.mark.parametrize("kill", [False, True])
def test_a_worker_that_does_not_end_is_ended(here: Path, kill: bool) -> None:
    (here / "stuck.py").write_text(STUCK)
    with Served("stuck:app", "--workers", "2", "--grace", "0", cwd=here) as server:
        family = server.descendants()
        if kill:
            server.kill()
        else:
            assert server.stop() == 0
            assert "was killed" in server.output
        wait_for(lambda: not any(alive(pid) for pid in family), what=f"none of {family} is alive")


@pytest.mark.complains("the embedded Valkey ended unexpectedly")
def test_a_dead_valkey_ends_everything_with_1(here: Path) -> None:
    with Served("app:app", "--workers", "2", cwd=here) as server:
        check = all_ended(server)
        assert server.valkey is not None
        os.kill(server.valkey, signal.SIGKILL)
        assert server.wait(10) == 1
        assert "the embedded Valkey ended unexpectedly" in server.output
        check()


def test_sighup_replaces_the_workers_one_by_one(here: Path) -> None:
    with Served("app:app", "--workers", "2", cwd=here) as server:
        first = set(server.workers())
        server.send(signal.SIGHUP)
        wait_for(lambda: len(server.workers()) == 2 and not first & set(server.workers()), within=30, what="two new")
        assert not first & pids(server, 2)


def test_sighup_ends_it_where_it_was_started_in_a_terminal(here: Path) -> None:
    master, terminal = pty.openpty()
    try:
        with Served("app:app", "--workers", "2", cwd=here, stdin=terminal) as server:
            server.send(signal.SIGHUP)
            assert server.wait() == 0
    finally:
        os.close(master)
        os.close(terminal)


def test_reload_serves_what_is_written(here: Path) -> None:
    source = here / "app.py"
    with Served("app:app", "--reload", cwd=here) as server:
        assert "NEW" not in ask(server)
        source.write_text(source.read_text().replace('"pid"', '"NEW": "yes", "pid"'))

        def renewed() -> bool:
            try:
                return "NEW" in ask(server)
            except httpx.TransportError:
                return False

        wait_for(renewed, within=30, what="the changed application")


def test_an_application_that_is_missing_under_reload_is_told_and_waited_for(here: Path) -> None:
    with Served("later:app", "--reload", cwd=here, ready=None) as server:
        wait_for(lambda: 'Cannot import "later:app"' in server.output, within=20, what="the reason")
        assert "Traceback" not in server.output
        (here / "later.py").write_text("from app import app\n")
        wait_for(lambda: "startup complete" in server.output, within=30, what="the application")
        assert ask(server)["HUBBUB_WORKERS"] == "1"


@pytest.mark.complains("no database", "Application startup failed", "failed to start")
def test_an_application_that_does_not_start_is_3(here: Path) -> None:
    (here / "bad.py").write_text(
        "async def app(scope, receive, send):\n    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    for workers in ("1", "2"):
        with pytest.raises(AssertionError, match="exit code 3") as failed:
            Served("bad:app", "--workers", workers, cwd=here)
        assert "no database" in str(failed.value)
