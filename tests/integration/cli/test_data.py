"""`hubbub serve --data DIR`: the embedded Valkey keeps its data there, for one worker or several, whatever ends it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from hubbub.brokers.data_directory import AOF_DIRECTORY, DataDirectory
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.cli.announce import what_ends
from hubbub.cli.settings import Settings
from tests.integration.cli.conftest import Command, ask
from tests.kit.running import HUBBUB, Served, alive, clean_environment
from tests.kit.waiting import wait_for

WHAT_ENDS = "history, presence and inboxes end with this process; --data DIR (HUBBUB_DATA) keeps them on disk"


def broker(server: Served) -> Redis:
    return Redis.from_url(ask(server)["HUBBUB_BROKER"])


@pytest.mark.parametrize("args", [("--workers", "1"), ("--reload",)])
def test_what_was_kept_is_there_after_an_end_and_a_start(here: Path, args: tuple[str, ...]) -> None:
    with Served("app:app", "--data", "kept", *args, cwd=here) as server:
        assert f"embedded Valkey, process {server.valkey}, data in {here / 'kept'})" in server.output
        assert WHAT_ENDS not in server.output
        assert ask(server)["HUBBUB_DATA"] == str(here / "kept")
        assert server.pid not in {int(ask(server)["pid"]), server.valkey}
        with broker(server) as client:
            client.set("said", "once")
        assert server.stop() == 0, server.output
    with (
        Served("app:app", *args, env={"HUBBUB_DATA": str(here / "kept")}, cwd=here) as server,
        broker(server) as client,
    ):
        assert client.get("said") == b"once"


def test_where_nothing_is_kept_one_line_says_so(here: Path) -> None:
    with Served("app:app", cwd=here) as server:
        assert server.output.count(f"INFO:     {WHAT_ENDS}\n") == 1


@pytest.mark.usefixtures("without_hubbub_variables")
def test_what_another_broker_keeps_is_its_own_affair() -> None:
    assert what_ends(Settings(broker="redis://localhost"), embedded=False) is None
    assert what_ends(Settings(data="kept"), embedded=True) is None
    for settings, embedded in ((Settings(), False), (Settings(workers=2), True), (Settings(broker="memory"), False)):
        assert what_ends(settings, embedded=embedded) == WHAT_ENDS


@pytest.mark.complains("the embedded Valkey ended unexpectedly")
def test_a_valkey_that_dies_is_started_again_and_the_workers_stay(here: Path) -> None:
    with Served("app:app", "--workers", "2", "--data", "kept", cwd=here) as server:
        workers, url = server.workers(), ask(server)["HUBBUB_BROKER"]
        with Redis.from_url(url) as client:
            client.set("said", "once")
            client.execute_command("WAITAOF", 1, 0, 0)
        assert server.valkey is not None
        for deaths in (1, 2):
            kill(valkey_of(server))
            wait_for(lambda d=deaths: server.output.count("starting it again with its data") == d, what="it is told")
            wait_for(lambda: is_up(url), within=30, what="it is there again")
            with Redis.from_url(url) as client:
                assert client.get("said") == b"once"
            assert server.workers() == workers
        kill(valkey_of(server))
        assert server.wait(30) == 1
        assert "ended unexpectedly 3 times within 60 seconds; stopping all workers" in server.output
        assert not any(map(alive, workers))


@pytest.mark.complains("the embedded Valkey ended unexpectedly")
def test_under_reload_too(here: Path) -> None:
    with Served("app:app", "--reload", "--data", "kept", cwd=here) as server:
        url = ask(server)["HUBBUB_BROKER"]
        for _ in range(2):
            kill(valkey_of(server))
            wait_for(lambda: is_up(url), within=30, what="it is there again")
        kill(valkey_of(server))
        assert server.wait(30) == 1


@pytest.mark.complains("the embedded Valkey ended unexpectedly|stopping all workers")
def test_one_that_cannot_be_started_again_ends_everything(here: Path) -> None:
    with Served("app:app", "--workers", "2", "--data", "kept", cwd=here) as server:
        [manifest] = (here / "kept" / AOF_DIRECTORY).glob("*.manifest")
        manifest.write_text("no manifest\n")
        kill(valkey_of(server))
        assert server.wait(30) == 1
        assert f"stopping all workers: the embedded server did not start with what is kept in {here / 'kept'}: " in (
            server.output
        )
        assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--broker", "redis://localhost"], "--data (HUBBUB_DATA) is where the embedded Valkey keeps its data; "),
        (["--broker", "memory"], "--data (HUBBUB_DATA) is where the embedded Valkey keeps its data; "),
        (["--data", ""], "--data: string should have at least 1 character"),
        (["--data", "app.py"], "--data (HUBBUB_DATA): {here}/app.py is not a directory\n"),
        (["--data", "app.py/below"], "--data (HUBBUB_DATA): {here}/app.py/below: Not a directory\n"),
        (["--data", "x" * 300], "--data (HUBBUB_DATA): {here}/" + "x" * 300 + ": File name too long\n"),
    ],
)
def test_what_is_refused(here: Path, hubbub: Command, args: list[str], said: str) -> None:
    refused = hubbub("serve", "app:app", "--port", "0", *args, env={"HUBBUB_DATA": "kept"})
    assert refused.returncode == 2
    assert refused.stderr.startswith(said.format(here=here))
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""
    assert not (here / "kept").exists()


def test_a_directory_in_use_is_refused(here: Path, hubbub: Command) -> None:
    with held(here / "kept"):
        refused = hubbub("serve", "app:app", "--port", "0", "--data", "kept")
    assert (refused.returncode, refused.stderr) == (
        2,
        f"--data (HUBBUB_DATA): {here}/kept is in use by another server: each needs a directory of its own\n",
    )


def test_data_of_a_later_version_is_refused_in_one_line(here: Path, hubbub: Command) -> None:
    with held(here / "kept") as data, EmbeddedValkey(data=data):
        pass
    [base] = (here / "kept" / AOF_DIRECTORY).glob("*.base.rdb")
    base.write_bytes(b"REDIS0099" + base.read_bytes()[9:])
    refused = hubbub("serve", "app:app", "--port", "0", "--data", "kept")
    assert refused.returncode == 2
    assert f"with what is kept in {here}/kept: Can't handle RDB format version 99" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_signal_while_it_waits_for_who_was_killed_ends_it_with_0(here: Path) -> None:
    with held(here / "kept"):
        command = subprocess.Popen(
            [HUBBUB, "serve", "app:app", "--port", "0", "--data", "kept"],
            cwd=here,
            env=clean_environment(),
            stderr=subprocess.PIPE,
        )
        try:
            lock = here / "kept" / "hubbub.lock"
            wait_for(lambda: has_open(command.pid, lock), within=20, what="it waits for the lock")
            command.send_signal(signal.SIGTERM)
            _, errors = command.communicate(timeout=20)
            assert (command.returncode, errors) == (0, b"")
        finally:
            command.kill()
            command.wait()


def test_in_development_tokens_of_before_are_good_after(here: Path) -> None:
    (here / ".env").write_text("HUBBUB_DATA=kept\n")
    secrets = set()
    for _ in range(2):
        with Served("app:app", "--dev", cwd=here) as server:
            secrets.add(secret := ask(server)["HUBBUB_SECRET"])
            assert "HUBBUB_SECRET was not set: one was generated, and is kept with the data" in server.output
            assert secret not in server.output
    assert len(secrets) == 1


@contextmanager
def held(path: Path) -> Iterator[DataDirectory]:
    data = DataDirectory(path)
    data.open()
    try:
        yield data
    finally:
        data.close()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), what="it is dead")


def valkey_of(server: Served) -> int:
    """The one that runs now."""
    found: list[int] = []

    def seen() -> bool:
        found[:] = [pid for pid in server.descendants() if is_valkey(pid)]
        return len(found) == 1

    wait_for(seen, within=20, what="there is one")
    return found[0]


def is_valkey(pid: int) -> bool:
    try:
        return "valkey-server" in psutil.Process(pid).exe()
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def is_up(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except RedisError:
        return False


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(file.path == str(path) for file in psutil.Process(pid).open_files())
    except psutil.NoSuchProcess:
        return False
