"""`hubbub tail` at a real server, by what it prints."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.cli.conftest import Command
from tests.kit import preloaded
from tests.kit.running import HUBBUB, Served, clean_environment
from tests.kit.waiting import tries, wait_for

SECRET = "s" * 32


class Tail:
    """One that runs. `lines`: what it has printed so far, of messages; `told`, of everything else."""

    def __init__(self, directory: Path, url: str, *args: str, env: dict[str, str | None] | None = None) -> None:
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err, Path(os.devnull).open("rb") as nothing:
            self.process = preloaded.start(
                [HUBBUB, "tail", *args, "--url", url],
                stdin=nothing.fileno(),
                stdout=out.fileno(),
                stderr=err.fileno(),
                env=clean_environment({"PYTHONUNBUFFERED": "1", **(env or {})}),
                cwd=directory,
            )

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def told(self) -> str:
        return self._err.read_text()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


Following = Callable[..., "contextlib.AbstractContextManager[Tail]"]


@pytest.fixture
def following(tmp_path: Path) -> Following:
    @contextlib.contextmanager
    def follow(url: str, *args: str, env: dict[str, str | None] | None = None) -> Iterator[Tail]:
        tail = Tail(tmp_path, url, *args, env=env)
        try:
            yield tail
        finally:
            if tail.process.poll() is None:
                tail.process.kill()
                tail.process.wait(30)

    return follow


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("--dev", "--workers", "3", env={"HUBBUB_SECRET": SECRET}) as server:
        yield server


def say(server: Served, room: str, **message: Any) -> None:
    for _ in tries("a worker takes it"):
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.post(f"{server.url}/api/rooms/{room}/messages", json=message, trust_env=False, timeout=10)
            if answer.status_code == 200:
                return


def test_what_is_said_is_printed_who_comes_and_goes_too_and_ctrl_c_ends_it(
    server: Served, following: Following
) -> None:
    with following(server.url, "tail:a", "--presence") as tail:
        wait_for(lambda: tail.lines, what="it says who is there")
        assert tail.lines[0].endswith("here: hubbub-tail")
        say(server, "tail:a", type="said", user="ann", text="hé\x1b[2J\nx")
        wait_for(lambda: len(tail.lines) > 1, what="the message")
        [line] = tail.lines[1:]
        assert "ann" in line
        assert "\\u001b[2J\\nx" in line
        assert "\x1b" not in line
        assert tail.end() == 130
    assert tail.told == ""


@pytest.mark.complains("")
def test_when_workers_are_killed_nothing_is_missing_and_nothing_comes_twice(
    following: Following, tmp_path: Path
) -> None:
    with (
        Served("--dev", "--workers", "3", env={"HUBBUB_SECRET": SECRET}) as server,
        following(server.url, "tail:k", "--json", env={"HUBBUB_SECRET": SECRET}) as tail,
    ):
        say(server, "tail:k", type="said", number=-1)
        for _ in tries("it is in the room"):
            say(server, "tail:k", type="said", number=-1)
            if tail.lines:
                break
        for number in range(60):
            say(server, "tail:k", type="said", number=number, key=f"{number}")
            if number in (20, 40):
                for pid in server.workers():
                    os.kill(pid, signal.SIGKILL)
        wait_for(lambda: tail.lines and json.loads(tail.lines[-1])["number"] == 59, what="the last one", within=60)
        found = [json.loads(line) for line in tail.lines]
        offsets = [message["offset"] for message in found]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        assert {message["number"] for message in found} >= set(range(60))
        assert tail.told.count("recovered: true") >= 1
        assert "recovered: false" not in tail.told


def test_what_is_kept_comes_first_where_that_is_asked_for(server: Served, following: Following) -> None:
    for number in range(5):
        say(server, "tail:h", type="said", number=number)
    with following(server.url, "tail:h", "--json", "--history", "2") as tail:
        wait_for(lambda: len(tail.lines) == 2, what="the last two")
        assert [json.loads(line)["number"] for line in tail.lines] == [3, 4]


def test_a_name_that_the_output_cannot_have_is_escaped(server: Served) -> None:
    command = [HUBBUB, "tail", "tail:n", "--presence", "--url", server.url]
    # Not preloaded: an interpreter asks once which encoding that is.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment({"PYTHONIOENCODING": "ascii"}),
    ) as tail:
        assert tail.stdout is not None
        assert b"here: hubbub-tail" in tail.stdout.readline()
        say(server, "tail:n", type="said", user="andré")
        assert rb"  andr\xe9  " in tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        assert tail.wait(30) == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_is_one_line(server: Served, following: Following, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/dev/full")
    with following(server.url, "tail:f", "--presence") as tail:
        assert tail.process.wait(30) == 1
        assert tail.told == "cannot write what came: No space left on device\n"


def test_who_reads_no_more_ends_it_without_a_word(server: Served) -> None:
    for number in range(5):
        say(server, "tail:p", type="said", number=number)
    command = f"{HUBBUB} tail tail:p --json --history 5 --url {server.url} | head -n 1"
    ended = subprocess.Popen(  # noqa: S602
        command, shell=True, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = ended.communicate(timeout=60)
    finally:
        ended.kill()
    assert [json.loads(line)["number"] for line in out.splitlines()] == [0]
    assert err == ""


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (["tail:r"], {"HUBBUB_TOKEN": "a.b.c"}, "4001|401"),
        (["bad\troom"], {"HUBBUB_SECRET": SECRET}, "cannot join"),
    ],
)
@pytest.mark.complains("")
def test_a_refusal_is_one_line(
    server: Served, hubbub: Command, args: list[str], env: dict[str, str | None], said: str
) -> None:
    ended = hubbub("tail", *args, "--url", server.url, env=env)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert any(each in ended.stderr for each in said.split("|")), ended.stderr
    assert "a.b.c" not in ended.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--history", "-1"], "--history"),
        (["--since", "x y"], "--since"),
        (["--history", "1", "--since", "2"], "--since"),
        (["--url", "ftp://x"], "--url"),
        (["--path", "ws"], "--path"),
        (["--token", "secret-token"], "HUBBUB_TOKEN"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(hubbub: Command, args: list[str], said: str) -> None:
    ended = hubbub("tail", "room", *args)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "secret-token" not in ended.stderr


def test_nobody_there_is_one_line(hubbub: Command) -> None:
    ended = hubbub("tail", "room", "--url", "http://127.0.0.1:1")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "cannot reach" in ended.stderr
