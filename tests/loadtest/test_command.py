"""`hubbub bench` against a real `hubbub serve`, and what it says where something is wrong."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from hubbub.auth.jwt import JWTAuth
from hubbub.cli.bench import table
from hubbub.loadtest.result import Errors, Latency, Result
from hubbub.loadtest.workloads import Workload
from tests.integration.cli.conftest import Command
from tests.kit.running import Served

SECRET = "0123456789abcdef0123456789abcdef"
SOON = ("--duration", "0.4", "--warm-up", "0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("--dev", env={"HUBBUB_SECRET": SECRET}) as served:
        yield served


def measured(made: Any) -> dict[str, Any]:
    assert (made.returncode, made.stderr) == (0, ""), made
    result: dict[str, Any] = json.loads(made.stdout)
    assert set(result["errors"].values()) == {0}
    return result


@pytest.mark.parametrize(
    ("args", "members"),
    [
        (("fanout", "--connections", "20", "--in-flight", "5", "--publishers", "2"), 20),
        (("fanout", "--connections", "20", "--rate", "100", "--text", "5000"), 20),
        (("rooms", "--connections", "12", "--rooms", "3"), 4),
        (("request", "--connections", "5"), 1),
    ],
)
def test_workloads(hubbub: Command, server: Served, args: tuple[str, ...], members: int) -> None:
    result = measured(hubbub("bench", *args, *SOON, "--json", "--url", server.url))
    assert result["messages"] > 5
    assert result["deliveries"] == members * result["messages"]
    assert 0 < result["latency"]["p50"] <= result["latency"]["p999"] <= result["latency"]["max"] * 1.01
    assert result["workload"]["kind"] == args[0]
    assert result["workload"]["connections"] == int(args[2])
    assert result["deliveries_per_second"] == pytest.approx(result["deliveries"] / result["seconds"], rel=1e-3)


def test_idle_connections_are_held(hubbub: Command, server: Served) -> None:
    result = measured(hubbub("bench", "idle", "--connections", "20", "--hold", "0.3", "--json", "--url", server.ws))
    assert (result["connections"], result["messages"], result["seconds"]) == (20, 0, 0.3)
    assert result["latency"]["p50"] is None
    assert result["connecting"]["p50"] > 0
    assert result["connections_per_second"] > 0


def test_a_table_for_people(hubbub: Command, server: Served) -> None:
    made = hubbub("bench", "--connections", "10", *SOON, "--stall", "1", "--url", server.url)
    assert made.returncode == 0
    for line in (
        "deliveries/s",
        "latency p50",
        "latency p99",
        "latency p99.9",
        "errors",
        "stalled, closed",
        "this tool",
    ):
        assert line in made.stdout


def test_with_the_secret_every_connection_has_a_token_of_its_own(hubbub: Command, server: Served) -> None:
    # More than one user may have.
    args = ("bench", "idle", "--connections", "130", "--rooms", "0", "--hold", "0.1", "--json", "--url", server.url)
    assert measured(hubbub(*args, env={"HUBBUB_SECRET": SECRET}))["connections"] == 130


def test_a_token_is_one_for_all_and_never_shown(hubbub: Command, server: Served) -> None:
    token = JWTAuth(SECRET).sign("alice")
    args = ("bench", "idle", "--connections", "3", "--hold", "0.1", "--url", server.url)
    assert measured(hubbub(*args, "--json", env={"HUBBUB_TOKEN": token}))["connections"] == 3
    refused = hubbub(*args, env={"HUBBUB_TOKEN": token[:-9]})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("The server refused connection 0: 401 Unauthorized")
    assert not any(part in refused.stderr for part in token[:-9].split("."))


def test_a_message_of_ones_own(hubbub: Command, server: Served) -> None:
    chat = '{"type": "chat", "content": "{content} of {user} in {room}"}'
    result = measured(hubbub("bench", "--connections", "5", "--message", chat, *SOON, "--json", "--url", server.url))
    assert result["deliveries"] == 5 * result["messages"]


def test_what_the_server_refuses_is_said(hubbub: Command, server: Served) -> None:
    unknown = ("--message", '{"type": "nothing", "content": "{content}"}')
    made = hubbub("bench", "--connections", "2", *unknown, *SOON, "--url", server.url)
    assert made.returncode == 1
    assert made.stderr.startswith("The server refused what connection 0 sent: unknown_type: ")
    made = hubbub("bench", "--connections", "1", "--path", "/nowhere", "--url", server.url)
    assert made.returncode == 1
    assert made.stderr.startswith("The server refused connection 0: 403 Forbidden")


def test_nobody_there(hubbub: Command) -> None:
    made = hubbub("bench", "--url", "ws://127.0.0.1:1")
    assert (made.returncode, made.stdout) == (1, "")
    assert made.stderr == "Cannot reach 127.0.0.1 port 1: connection refused (connection 0)\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("fan",), "WORKLOAD is one of fanout, rooms, request, idle, not 'fan'"),
        (("--url", "localhost"), "--url: the server's address is like ws://127.0.0.1:8000, without a path"),
        (("--path", "ws"), "--path: the path is like /ws"),
        (("--message", "{"), "--message: the message is not JSON"),
        (("--message", "[]"), "--message: the message is a JSON object with a type"),
        (("--message", '{"type": "x"}'), "--message: the message needs {content} in it"),
        (("--connections", "0"), "--connections is a whole number from 1 to 500,000, not 0"),
        (("--connections", "ten"), "--connections"),
        (("--rooms", "2"), "--rooms is for the workloads rooms and idle"),
        (("request", "--rooms", "2"), "--rooms is for the workloads rooms and idle"),
        (("rooms", "--connections", "5", "--rooms", "6"), "--rooms is a whole number from 1 to 5, not 6"),
        (("--publishers", "1001"), "--publishers is a whole number from 1 to 1,000"),
        (("rooms", "--publishers", "2"), "--publishers is for the workload fanout"),
        (("rooms", "--in-flight", "2"), "--in-flight is for the workload fanout"),
        (("--in-flight", "0"), "--in-flight is a whole number from 1"),
        (("--rate", "nan"), "--rate is a number from 0.001 to 10,000,000, not nan"),
        (("request", "--rate", "5"), "--rate is for the workloads fanout and rooms"),
        (("--text", "20"), "--text is a whole number from 21 to 1,048,576, not 20"),
        (("--duration", "0"), "--duration is a number from 0.001"),
        (("--warm-up", "-1"), "--warm-up is a number from 0"),
        (("--hold", "5"), "--hold is for the workload idle"),
        (("idle", "--duration", "5"), "--duration is for workloads that send"),
        (("idle", "--hold", "0"), "--hold is a number from 0.001"),
        (("idle", "--stall", "1"), "--stall is for the workloads fanout and rooms"),
        (("--stall", "-1"), "--stall is a whole number from 0"),
        (("--connecting", "0"), "--connecting is a whole number from 1"),
        (("--patience", "inf"), "--patience is a number from 0.01"),
        (("--connections", "500000"), "--connections needs 500,064 open files"),
    ],
)
def test_a_wrong_flag_is_named(hubbub: Command, args: tuple[str, ...], said: str) -> None:
    made = hubbub("bench", *args)
    assert (made.returncode, made.stdout) == (2, "")
    assert said in made.stderr
    assert "Traceback" not in made.stderr


def test_errors_are_shown_and_make_the_exit_code() -> None:
    none = Latency(1.0, 2.0, 3.0, 4.0, 5.0, 1.5)
    result = Result(
        workload=Workload(stall=2),
        connections=1_002,
        connecting=none,
        connections_per_second=500.0,
        messages=10,
        deliveries=9_999,
        seconds=2.0,
        latency=none,
        errors=Errors(missing=1, duplicate=2, out_of_order=3, unexpected=4),
        received=1,
        stalled_closed=2,
        first_closed=1.25,
        tool_cpu=0.5,
    )
    assert result.errors.total == 10
    console = Console(width=100, record=True, file=None)
    with console.capture() as shown:
        console.print(table(result))
    text = shown.get()
    assert "1 missing, 2 twice, 3 out of order, 4 unexpected" in text
    assert "the first after 1.2 s" in text
    assert "5,000" in text
