"""`hubbub top`: what it makes of two scrapes, and a real server on three workers."""

import json
from collections.abc import Iterator

import httpx
import pytest

from hubbub.cli.top import CannotLook, as_json, read, rows
from tests.integration.cli.conftest import Command
from tests.kit.running import Served
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


@pytest.mark.parametrize("text", ["", "<html>", "# TYPE up gauge\nup 1\n"])
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
