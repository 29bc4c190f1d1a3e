"""What connections cost: memory while they idle, 15,000 of them, one that stalls, and a room on several workers."""

import http.client
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks import peers
from benchmarks.figures import Bar, Table
from benchmarks.load import Load, errors, loading, outcome, run
from benchmarks.machine import raise_file_limit
from benchmarks.peers import Contestant
from benchmarks.serving import Running, pinned, serving
from benchmarks.workloads import Bench, noting
from hubbub.brokers.embedded import EmbeddedValkey

_IDLE = 4000
_MANY = 15_000
_ROOM = 3000
_OPENING = 120.0
#: Descriptors of a process that are no connections of clients, generously.
_OTHERS = 200


def idle(bench: Bench) -> list[Table]:
    """Resident memory of the server: with the connections held, less before them, by their number."""
    contestants = [
        peers.ours(dialect="ours-presence"),
        peers.without_accelerator(dialect="ours-presence"),
        peers.with_middleware(dialect="ours-presence"),
        peers.bun(),
        peers.ws_node(),
        peers.fastapi_bare("accept"),
    ]
    table = Table(
        "idle",
        "Memory of an idle connection",
        "KiB",
        [Bar("ours", 7, reach="at most"), Bar("ours", 6, reach="at most", wish=True)],
        digits=1,
        notes=["Hubbub's connections have authenticated and joined a room with presence; the others do less."],
    )
    connections = bench.members(_IDLE)
    for contestant, server in bench.each(contestants):
        with noting(table, contestant):
            table.add(contestant.key, contestant.title, _held(bench, server, contestant, connections))
    return [table]


def many(bench: Bench) -> list[Table]:
    """15,000 connections on one worker, in rooms of ten with presence; then one broadcast after another to all."""
    connections = bench.members(_MANY)
    allowed = raise_file_limit(connections + _OTHERS) - _OTHERS
    notes = []
    if allowed < connections:
        notes.append(f"This machine allows a process {allowed + _OTHERS:,} descriptors: fewer connections than 15,000.")
        connections = allowed
    table = Table("many", f"{connections:,} connections on one worker", "deliveries/s", notes=notes)
    contestant = peers.ours(dialect="ours-presence")
    with serving(contestant.key, contestant.command, cores=bench.server) as server, noting(table, contestant):
        each = _held(bench, server, contestant, connections)
        said = bench.run(server, "ours-everyone", kind="fanout", connections=connections, patience=60.0)
        details = {"handshakes/s": said["connections_per_second"], "KiB each": each}
        details |= {f"{name} ms": said["latency"][name] for name in ("p50", "p99")} | {"messages": said["messages"]}
        if wrong := errors(said):
            table.fail(contestant.key, contestant.title, wrong)
        else:
            table.add(contestant.key, contestant.title, said["deliveries_per_second"], **details)
    return [table]


def stall(bench: Bench) -> list[Table]:
    """What the other 999 notice when one stops reading, and when its descriptor is gone."""
    table = Table(
        "stall",
        "One of 1,000 members stalls",
        "p99 ms of the others",
        [Bar("stalled", 1.1, "quiet", reach="at most")],
        digits=1,
        notes=["Ten in flight, 1,000 bytes a message, so that the bound of 1 MiB is reached within seconds."],
    )
    contestant = peers.ours()
    members = bench.members(1000)
    for _ in range(bench.repetitions):
        for key, title, stalled in (("stalled", "one stalls", 1), ("quiet", "all read", 0)):
            row = Contestant(key, title, contestant.command, contestant.dialect)
            with serving(contestant.key, contestant.command, cores=bench.server) as server, noting(table, row):
                workload = {"kind": "fanout", "connections": members - stalled, "in_flight": 10, "text": 1000}
                workload |= {"duration": max(20.0, bench.seconds), "stall": stalled}
                with loading(server, Load(row.dialect, workload), cores=bench.load) as process:
                    gone = _watch(server, process, members)
                    said = outcome(process)
                table.add(key, title, said["latency"]["p99"], **gone)
    return [table]


def workers(bench: Bench) -> list[Table]:
    """One room of 3,000 on three workers over Valkey, beside one worker; all of them share both cores with the load."""
    members = bench.members(_ROOM)
    both = bench.server | bench.load
    three = peers.ours("three", "Hubbub, three workers over Valkey", workers=3)
    one = peers.ours("one", "Hubbub, one worker")
    throughput = Table(
        "workers",
        f"One room of {members:,} on three workers, ten in flight",
        "deliveries/s",
        [Bar("three", 0.7, "one")],
    )
    latency = Table("last", f"Publish to the last of {members:,} members, one in flight", "p50 ms", digits=2)
    for _ in range(bench.repetitions):
        for contestant in (three, one):
            with serving(contestant.key, contestant.command, cores=both) as server:
                for in_flight, table in ((10, throughput), (1, latency)):
                    # As many who send: what one client sends is handled one after the other.
                    senders = {"publishers": in_flight, "in_flight": in_flight}
                    workload = {"kind": "fanout", "connections": members, **senders}
                    workload["duration"] = bench.seconds
                    with noting(table, contestant):
                        said = run(server, Load(contestant.dialect, workload), cores=both)
                        if wrong := errors(said):
                            table.fail(contestant.key, contestant.title, wrong)
                        elif table is latency:
                            table.add(
                                contestant.key, contestant.title, said["last"]["p50"], **{"p99 ms": said["last"]["p99"]}
                            )
                        else:
                            table.add(contestant.key, contestant.title, said["deliveries_per_second"])
        for subscribers in (members, 3):
            said = _bare_valkey(subscribers, bench.seconds, both)
            title = f"bare Valkey, {subscribers:,} subscribers"
            latency.add(f"valkey-{subscribers}", title, said["p50_ms"], **{"p99 ms": said["p99_ms"]})
    return [throughput, latency]


def _held(bench: Bench, server: Running, contestant: Contestant, connections: int) -> float:
    """KiB a connection. Raises LoadFailed where they could not all be opened and held."""
    rooms = 0 if contestant.dialect == "accept" else connections // 10
    workload = {"kind": "idle", "connections": connections, "rooms": rooms, "duration": _OPENING}
    # What the first connections leave behind is no cost of the next.
    few = {**workload, "connections": 100, "rooms": min(rooms, 10), "duration": 0.1}
    run(server, Load(contestant.dialect, few), cores=bench.load)
    before, descriptors = server.settled(), server.descriptors
    with loading(server, Load(contestant.dialect, workload), cores=bench.load) as process:
        deadline = time.monotonic() + _OPENING
        while server.descriptors < descriptors + connections and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        held = server.settled()
        if process.poll() is not None or server.descriptors < descriptors + connections:
            outcome(process, within=1.0)
    return (held - before) / connections / 1024


def _watch(server: Running, process: "subprocess.Popen[str]", members: int) -> dict[str, float]:
    """Seconds from the moment the hub found a reader too slow until a descriptor less is open; empty if none was."""
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    most, slow = 0, None
    try:
        while process.poll() is None:
            # More often would be a load of its own.
            time.sleep(0.2)
            open_now = server.descriptors
            most = max(most, open_now)
            if most < members:
                continue
            if slow is None:
                asking.request("GET", "/counts")
                if json.loads(asking.getresponse().read()).get("connections_too_slow"):
                    slow = time.monotonic()
            if slow is not None and open_now < most:
                return {"socket gone after s": time.monotonic() - slow}
    finally:
        asking.close()
    return {}


def _bare_valkey(subscribers: int, seconds: float, cores: set[int]) -> dict[str, Any]:
    with pinned(cores), EmbeddedValkey() as valkey:
        command = [sys.executable, "-m", "benchmarks.valkey", valkey.url, str(subscribers), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said
