"""The works: what each server is asked to do, and which figures Hubbub is to reach.

Every work takes the peers in turn, repetition by repetition, and starts each server anew: what one left behind is
not the next one's.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import peers
from benchmarks.figures import Bar, Table
from benchmarks.load import Load, LoadFailed, errors, run
from benchmarks.peers import Contestant
from benchmarks.serving import Running, serving

MEMBERS = 1000


@dataclass(frozen=True, slots=True)
class Bench:
    """How thoroughly: `seconds` each measurement counts, `scale` divides the number of connections."""

    server: set[int]
    load: set[int]
    repetitions: int
    seconds: float
    scale: int = 1

    def members(self, wanted: int) -> int:
        return max(10, wanted // self.scale)

    def each(self, contestants: Sequence[Contestant]) -> Iterator[tuple[Contestant, Running]]:
        """Each repetition's servers, one after another, beginning with another one each time."""
        for repetition in range(self.repetitions):
            turn = repetition % len(contestants)
            for contestant in [*contestants[turn:], *contestants[:turn]]:
                with serving(contestant.key, contestant.command, cores=self.server) as server:
                    yield contestant, server

    def run(self, server: Running, dialect: str, **workload: Any) -> dict[str, Any]:
        workload.setdefault("duration", self.seconds)
        return run(server, Load(dialect, workload), cores=self.load)


def fanout(bench: Bench) -> list[Table]:
    """One room of 1,000; one publisher that keeps 1, 10 or 50 messages in flight."""
    contestants = [
        peers.ours(),
        peers.without_accelerator(),
        peers.bun(),
        peers.ws_node(),
        peers.socketio_node(),
        peers.litestar(),
        peers.broadcaster(),
        peers.channels(),
        peers.manager(),
        peers.python_socketio(),
    ]
    tables = {
        1: Table(
            "fanout-1",
            f"One room of {bench.members(MEMBERS):,}, the publisher waits for all",
            "deliveries/s",
            [
                Bar("ours", 1.0, "bun"),
                Bar("ours", 7, "manager"),
                Bar("ours", 12, "python-socketio"),
                Bar("ours", 3, "socketio"),
                Bar("ours-python", 0.65, "bun"),
                Bar("ours-python", 4.5, "manager"),
            ],
        ),
        10: Table("fanout-10", "The same, ten in flight", "deliveries/s", _many_in_flight(1.0)),
        50: Table("fanout-50", "The same, fifty in flight", "deliveries/s", _many_in_flight(1.3)),
    }
    for contestant, server in bench.each(contestants):
        for in_flight, table in tables.items():
            with noting(table, contestant):
                said = bench.run(
                    server,
                    contestant.dialect,
                    kind="fanout",
                    connections=bench.members(MEMBERS),
                    in_flight=in_flight,
                )
                add(table, contestant, said)
    return list(tables.values())


def rooms(bench: Bench) -> list[Table]:
    """100 rooms of 10, every member talks, the next time when its own message has come back."""
    contestants = [
        peers.ours(),
        peers.without_accelerator(),
        peers.bun(),
        peers.ws_node(),
        peers.socketio_node(),
        peers.manager(),
        peers.python_socketio(),
    ]
    table = Table(
        "rooms",
        "100 rooms of 10, every member talks",
        "deliveries/s",
        [Bar("ours", 3, "python-socketio"), Bar("ours", 5, "socketio"), Bar("ours", 0.7, "bun")],
    )
    for contestant, server in bench.each(contestants):
        with noting(table, contestant):
            members = bench.members(MEMBERS)
            said = bench.run(server, contestant.dialect, kind="rooms", connections=members, rooms=members // 10)
            add(table, contestant, said)
    return [table]


def requests(bench: Bench) -> list[Table]:
    """100 connections, one request of each in flight: typed, handled and acknowledged here, echoed there."""
    contestants = [
        peers.ours(dialect="ours-request"),
        peers.without_accelerator(dialect="ours-request"),
        peers.bun("echo"),
        peers.ws_node("echo"),
        peers.fastapi_bare("echo"),
    ]
    table = Table(
        "requests",
        "Requests of 100 connections",
        "requests/s",
        [
            Bar("ours", 0.85, "ws"),
            Bar("ours", 1.0, "ws", wish=True),
            Bar("ours", 1.5, "fastapi"),
            Bar("ours", 0.7, "bun", wish=True),
        ],
    )
    for contestant, server in bench.each(contestants):
        with noting(table, contestant):
            add(table, contestant, bench.run(server, contestant.dialect, kind="request", connections=100))
    return [table]


def handshakes(bench: Bench) -> list[Table]:
    """Sockets opened a second: ours with a JWT checked and `welcome` received, FastAPI's accepted."""
    contestants = [peers.ours(), peers.without_accelerator(), peers.fastapi_bare("accept")]
    table = Table("handshakes", "Handshakes", "handshakes/s", [Bar("ours", 1.0, "fastapi")])
    for contestant, server in bench.each(contestants):
        with noting(table, contestant):
            connections, before = bench.members(4000), server.busy
            said = bench.run(
                server, contestant.dialect, kind="idle", connections=connections, rooms=0, duration=0.1, warm_up=0.0
            )
            # The processor time is of the whole life of a connection, its end included.
            each = (server.busy - before) / connections * 1000
            table.add(
                contestant.key, contestant.title, said["connections_per_second"], **{"server's CPU ms each": each}
            )
    return [table]


def add(table: Table, contestant: Contestant, said: dict[str, Any]) -> None:
    """What a run of the load brought, unless something was lost, doubled or out of order."""
    if wrong := errors(said):
        table.fail(contestant.key, contestant.title, wrong)
        return
    latency = {"p50 ms": said["latency"]["p50"], "p99 ms": said["latency"]["p99"]}
    # How busy the load's own core was: near 100, it is what was measured.
    table.add(
        contestant.key, contestant.title, said["deliveries_per_second"], **latency, **{"load %": said["tool_cpu"] * 100}
    )


@contextlib.contextmanager
def noting(table: Table, contestant: Contestant) -> Iterator[None]:
    """A peer that fails is a row that says so; the others go on."""
    started = time.monotonic()
    try:
        yield
    except LoadFailed as failure:
        table.fail(contestant.key, contestant.title, str(failure))
    row = table.rows[contestant.key]
    value = row.values[-1]
    said = "failed: " + str(row.failure) if value is None else f"{value:,.{table.digits}f} {table.unit}"
    print(f"  {table.key:<12} {contestant.title:<42} {said}  ({time.monotonic() - started:.0f} s)", flush=True)


def _many_in_flight(bun: float) -> list[Bar]:
    return [Bar("ours", bun, "bun"), Bar("ours", 25, "manager"), Bar("ours", 8, "socketio")]
