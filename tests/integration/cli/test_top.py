"""`hubbub top`: what it makes of two scrapes, and a real server on three workers."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from hubbub.cli.top.scrape import CannotLook, as_json, look, read, rows
from hubbub.cli.top.table import table
from hubbub.cli.top.watch import Asked, watch
from hubbub.errors import ConfigurationError
from tests.integration.cli.conftest import Command
from tests.kit import preloaded
from tests.kit.running import HUBBUB, Served, clean_environment
from tests.kit.waiting import tries


def scrape(node: str = "n", *, received: float, lag: dict[str, float], refused: float = 0) -> str:
    buckets = "".join(
        f'hubbub_loop_lag_seconds_bucket{{node="{node}",le="{bound}"}} {count}\n' for bound, count in lag.items()
    )
    return (
        "# TYPE hubbub_messages_received_total counter\n"
        f'hubbub_messages_received_total{{node="{node}"}} {received}\n'
        "# TYPE hubbub_requests_refused_total counter\n"
        f'hubbub_requests_refused_total{{node="{node}",code="forbidden"}} {refused}\n'
        f'hubbub_requests_refused_total{{node="{node}",code="other"}} {refused}\n'
        f"# TYPE hubbub_loop_lag_seconds histogram\n{buckets}"
        f'# TYPE hubbub_connections gauge\nhubbub_connections{{node="{node}"}} 3\n'
        '# TYPE hubbub_workers gauge\nhubbub_workers{state="answered"} 1\nhubbub_workers{state="silent"} 2\n'
        "# TYPE hubbub_cluster_users gauge\nhubbub_cluster_users 2\n"
    )


def test_what_only_grows_is_shown_by_the_second() -> None:
    before = read(scrape(received=10, lag={"0.01": 1, "0.1": 1, "+Inf": 1}), 100.0)
    now = read(scrape(received=30, lag={"0.01": 4, "0.1": 5, "+Inf": 5}, refused=2), 104.0)
    [worker] = rows(before, now)
    assert (worker.node, worker.connections, worker.messages_in, worker.refused, worker.lag) == ("n", 3, 5.0, 1.0, 0.1)
    assert (now.users, now.rooms, now.silent) == (2, None, 2)
    assert json.loads(as_json(before, now))["refused"] == {"forbidden": 0.5, "other": 0.5}


def test_a_time_beyond_all_bounds_is_said_to_be_and_is_a_number_in_json() -> None:
    before = read(scrape(received=10, lag={"10.0": 1, "+Inf": 1}), 100.0)
    now = read(scrape(received=10, lag={"10.0": 1, "+Inf": 2}), 104.0)
    assert ">10 s" in drawn(rows(before, now), now, width=200)
    said = as_json(before, now)
    assert "Infinity" not in said
    assert json.loads(said)["workers"][0]["lag"] == 10.0


def test_workers_below_the_last_line_are_counted() -> None:
    now = read("".join(scrape(f"n{number}", received=1, lag={}) for number in range(30)), 1.0)
    said = drawn(rows(None, now), now, width=200, height=24)
    assert "in a higher window: 15 more workers" in said
    assert len(said.splitlines()) <= 24
    assert "more workers" not in drawn(rows(None, now), now, width=200)


def drawn(*told: Any, **size: Any) -> str:
    console = Console(width=200, highlight=False)
    with console.capture() as text:
        console.print(table(*told, **size))
    return text.get()


def test_of_a_worker_that_is_new_nothing_is_known_yet() -> None:
    before = read(scrape("old", received=10, lag={}), 100.0)
    [worker] = rows(before, read(scrape("new", received=30, lag={"+Inf": 1}), 104.0))
    assert (worker.node, worker.messages_in, worker.lag) == ("new", None, None)
    [worker] = rows(None, before)
    assert worker.messages_in is None


def test_where_nothing_was_observed_no_time_is_shown() -> None:
    same = scrape(received=1, lag={"0.01": 4, "+Inf": 4})
    [worker] = rows(read(same, 1.0), read(same, 2.0))
    assert worker.lag is None


def test_who_was_silent_has_not_refused_all_of_it_now() -> None:
    before = read(scrape("a", received=1, lag={}, refused=4), 100.0)
    both = read(scrape("a", received=1, lag={}, refused=6) + scrape("b", received=1, lag={}, refused=500), 102.0)
    assert json.loads(as_json(before, both))["refused"] == {"forbidden": 1.0, "other": 1.0}
    again = read(scrape("b", received=1, lag={}, refused=504), 104.0)
    assert json.loads(as_json(both, again))["refused"] == {"forbidden": 2.0, "other": 2.0}


async def test_what_a_server_says_moves_no_cursor_and_is_no_markup() -> None:
    evil = "\x1b]0;mine\x07[bold]n"
    console = Console(width=200)
    with console.capture() as drawn:
        now = read(scrape(evil, received=1, lag={}), 1.0)
        console.print(table(rows(None, now), now, width=200))
    assert r"\x1b]0;mine\x07[bold]n" in drawn.get()
    answer = httpx.MockTransport(lambda _: httpx.Response(500, json={"detail": evil}))
    async with httpx.AsyncClient(transport=answer) as client:
        with pytest.raises(CannotLook) as cannot:
            await look(client, "http://a/metrics")
    assert str(cannot.value) == r"http://a/metrics answers 500: \x1b]0;mine\x07[bold]n"


@pytest.mark.parametrize("width", [30, 50, 80, 120])
def test_no_number_is_cut_off_where_there_is_no_room(width: int) -> None:
    before = read(scrape("2a9d71485dc1", received=0, lag={}), 0.0)
    now = read(scrape("2a9d71485dc1", received=123_456_789, lag={}), 1.0)
    console = Console(width=width)
    with console.capture() as drawn:
        console.print(table(rows(before, now), now, width=width))
    assert "…" not in drawn.get()
    assert "2a9d71485dc1" in drawn.get()
    assert ("123,456,789" in drawn.get()) == (width > 30)
    assert ("in a wider window:" in drawn.get()) == (width < 120)


@pytest.mark.parametrize(
    "text",
    [
        *("", "<html>", "# TYPE up gauge\nup 1\n", 'hubbub_connections{node="n"} NaN\n'),
        'hubbub_requests_refused_total{node="n"} 1\n',
    ],
)
def test_what_is_no_scrape_of_a_hub_is_said(text: str) -> None:
    with pytest.raises(CannotLook):
        read(text, 1.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("--dev", "--workers", "3") as server:
        yield server


def test_all_workers_are_there_whichever_answers(server: Served, hubbub: Command) -> None:
    for _ in tries("all three report"):
        if len(httpx.get(f"{server.url}/stats", trust_env=False).json()["workers"]) == 3:
            break
    shown = hubbub("top", "--url", server.url, "--once", "--interval", "0.2")
    assert (shown.returncode, shown.stderr) == (0, "")
    first, *_ = shown.stdout.splitlines()
    assert first == "0 users, 0 connections, 0 rooms on 3 workers"
    assert all(column in shown.stdout for column in ("conns", "refused/s", "lag", "broker", "memory"))
    said = json.loads(hubbub("top", "--url", server.url, "--once", "--interval", "0.2", "--json").stdout)
    assert [worker["ready"] for worker in said["workers"]] == [True] * 3
    assert all(worker["cpu"] is not None and worker["memory"] > 0 for worker in said["workers"])


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--url", "http://127.0.0.1:1"], 1, "cannot reach"),
        (["--interval", "0"], 2, "--interval"),
        (["--interval", "nan"], 2, "--interval"),
        (["--interval", "inf"], 2, "--interval"),
        (["--url", "http://app..example"], 2, "--url"),
        (["--path", "metrics"], 2, "--path"),
        (["--key", "secret-key"], 2, "HUBBUB_ADMIN_KEY"),
    ],
)
def test_what_cannot_be_is_one_line(hubbub: Command, args: list[str], code: int, said: str) -> None:
    ended = hubbub("top", *args)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1)
    assert said in ended.stderr
    assert "secret-key" not in ended.stderr


def test_another_path_is_told_from_no_metrics(server: Served, hubbub: Command) -> None:
    ended = hubbub("top", "--url", server.url, "--path", "/nowhere")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "404" in ended.stderr
    assert "operations()" in ended.stderr


def test_without_prometheus_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    asked = Asked(url="http://127.0.0.1:1", path="/metrics", interval=1.0, once=True, in_json=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'hubbub\[metrics\]'"):
        watch(asked, key=None)


@pytest.mark.parametrize("flags", [["--once"], ["--once", "--json"]])
def test_where_nobody_reads_it_ends_and_complains_of_nothing(server: Served, tmp_path: Path, flags: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    told = tmp_path / "err"
    with told.open("wb") as err, Path(os.devnull).open("rb") as nothing:
        process = preloaded.start(
            [HUBBUB, "top", "--url", server.url, "--interval", "0.1", *flags],
            stdin=nothing.fileno(),
            stdout=writes,
            stderr=err.fileno(),
            env=clean_environment({}),
            cwd=tmp_path,
        )
    os.close(writes)
    assert (process.wait(60), told.read_text()) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_terminal_is_left_as_it_was(server: Served, number: int, code: int) -> None:
    pty = pytest.importorskip("pty")
    pid, terminal = pty.fork()
    if pid == 0:
        command = [HUBBUB, "top", "--url", server.url, "--interval", "0.1"]
        os.execve(command[0], command, clean_environment({"TERM": "xterm"}))  # noqa: S606 - ours, on a terminal of its own
    shown = b""
    while b"on 3 workers" not in shown:
        shown += os.read(terminal, 65536)
    os.kill(pid, number)
    try:
        while more := os.read(terminal, 65536):
            shown += more
    except OSError:
        pass  # Linux says so that it was closed
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert b"Traceback" not in shown
    assert shown.rindex(b"\x1b[?1049l") > shown.rindex(b"\x1b[?1049h")
