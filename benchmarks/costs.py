"""What one of each thing costs: the constants of `hubbub size`, measured anew.

    python -m benchmarks.costs --write

measures this code on this machine in a few minutes and puts the figures into `src/hubbub/sizing/measured.py`; without
`--write` it prints that file. What is measured is the processor time that a server's process used, by the system's own
account, and not how long it took: other work on the machine makes much less of the one than of the other, and more
than nothing.
"""

import argparse
import datetime
import json
import os
import pprint
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from redis import Redis

from benchmarks import machine
from benchmarks.crowds import Crowds
from benchmarks.load import Load, LoadFailed, run
from benchmarks.peers import SECRET
from benchmarks.serving import Command, Running, pinned, serving
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.client.publisher import Publisher

DATA = Path(__file__).parent.parent / "src/hubbub/sizing/measured.py"
CLIENTS = 3_000
#: Messages of 200 bytes that each who comes back is handed.
MISSED = 20
_HEAD = '''"""What one of each thing costs, as `{command}` measured it, which writes this file.

{of}
"""

MACHINE = {machine}
DATE = {date}
COMMAND = {command!r}

#: What was measured, in the unit that its name ends with. `hubbub.sizing.costs` says what each is.
MEASURED = {measured}
'''


class Bench:
    """One worker on a Valkey of its own, each on what the machine has; the load on another core."""

    def __init__(self, **environment: str) -> None:
        self.server_core, self.load_core = machine.cores()
        self._environment = environment

    @contextmanager
    def running(self) -> Iterator["Measured"]:
        with pinned({self.load_core}):
            valkey = EmbeddedValkey()
            valkey.start()
        arguments = [str(Path(sys.executable).parent / "hubbub"), "serve", "benchmarks.crowded:app"]
        arguments += ["--port", "{port}", "--log-level", "warning", "--no-access-log"]
        environment = {"HUBBUB_SECRET": SECRET, "HUBBUB_BROKER": valkey.url, **self._environment}
        command = Command(arguments, environment, ready="/health/ready")
        try:
            with serving("costs", command, cores={self.server_core}) as server, pinned({self.load_core}):
                yield Measured(server, valkey, self.load_core)
        finally:
            valkey.stop()


class Measured:
    """A server and its Valkey; what they used so far."""

    def __init__(self, server: Running, valkey: EmbeddedValkey, core: int) -> None:
        self.server = server
        self.url = valkey.url
        self.core = core
        self._valkey = psutil.Process(valkey.pid)
        self.redis = Redis(unix_socket_path=unquote(urlsplit(valkey.url).path))

    @property
    def broker_busy(self) -> float:
        used = self._valkey.cpu_times()
        return float(used.user + used.system)

    @property
    def broker_memory(self) -> int:
        return int(self.redis.info("memory")["used_memory"])

    def commands(self) -> int:
        """That the Valkey executed, those of scripts too, but for those that look at it."""
        said = self.redis.info("commandstats")
        ours = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_ping", "cmdstat_time"}
        return sum(stats["calls"] for name, stats in said.items() if name not in ours)

    def crowd(self, count: int, *rooms: str, forwarded: bool = False) -> Crowds:
        return Crowds(self.server.port, count, secret=SECRET, rooms=list(rooms), processes=1, forwarded=forwarded)

    def load(self, dialect: str, **workload: Any) -> dict[str, Any]:
        return run(self.server, Load(dialect, workload), cores={self.core})

    @contextmanager
    def using(self) -> Iterator[dict[str, float]]:
        """What was used in the block: `server` and `broker` in processor seconds, `commands`, `took`."""
        used: dict[str, float] = {}
        server, broker, commands, began = self.server.busy, self.broker_busy, self.commands(), time.monotonic()
        yield used
        used["took"] = time.monotonic() - began
        used["server"], used["broker"] = self.server.busy - server, self.broker_busy - broker
        used["commands"] = self.commands() - commands


def connections(found: dict[str, float]) -> None:
    """Handshakes, joins, memory, requests, and coming back with what was missed."""
    with Bench().running() as it:
        found["worker_start_s"], found["worker_mib"] = it.server.busy, it.server.settled() / 2**20
        with it.using() as idle:
            time.sleep(5)
        found["worker_idle_ms_per_s"] = idle["server"] / idle["took"] * 1e3
        found["worker_idle_broker_commands_per_s"] = idle["commands"] / idle["took"]
        with it.crowd(200, "room:few") as few:
            few.come()
        memory, kept = it.server.settled(), it.broker_memory
        with it.crowd(CLIENTS, "") as crowd:
            with it.using() as used:
                crowd.come(64)
            found["handshake_ms"] = _less(used, idle) / CLIENTS * 1e3
            found["handshake_broker_us"] = used["broker"] / CLIENTS * 1e6
            found["idle_kib"] = (it.server.settled() - memory) / CLIENTS / 1024
            found["online_broker_bytes"] = (it.broker_memory - kept) / CLIENTS
            with it.using() as used:
                answered, _, _ = crowd.talk(seconds=2.0, rounds=3)
            found["request_us"] = _less(used, idle) / answered * 1e6
    for prefix, name in (("room", "enter"), ("present", "enter_with_presence")):
        with Bench().running() as it:
            with it.crowd(200, f"{prefix}:few") as few:
                few.come()
            memory, kept = it.server.settled(), it.broker_memory
            with it.crowd(CLIENTS, *(f"{prefix}:{at}" for at in range(CLIENTS // 10))) as crowd:
                with it.using() as used:
                    crowd.come(64)
                found[f"{name}_ms"] = _less(used, idle) / CLIENTS * 1e3
                found[f"{name}_broker_us"] = used["broker"] / CLIENTS * 1e6
                if name == "enter_with_presence":
                    found["present_broker_bytes"] = (it.broker_memory - kept) / CLIENTS
                    found["joined_kib"] = (it.server.settled() - memory) / CLIENTS / 1024


def returns(found: dict[str, float]) -> None:
    """Coming back to rooms with history, and being handed what was missed."""
    with Bench().running() as it:
        rooms = [f"kept:{at}" for at in range(10)]
        publisher = Publisher(it.url)
        with it.crowd(CLIENTS, *rooms) as crowd:
            for room in rooms:
                publisher.room(room).send({"type": "said", "number": 0, "content": "x" * 200})
            crowd.come(64)
            crowd.ask("drop", returning=False)
            crowd.until(lambda state: not state.inside, "all gone", within=60)
            time.sleep(1)
            for number in range(1, MISSED + 1):
                for room in rooms:
                    publisher.room(room).send({"type": "said", "number": number, "content": "x" * 200})
            with it.using() as used:
                crowd.come(64)
                crowd.until(lambda state: state.heard.get(MISSED, (0, 0))[0] == CLIENTS, "all have read it", within=60)
            found["rejoin_ms"] = used["server"] / CLIENTS * 1e3
            found["rejoin_broker_commands"] = used["commands"] / CLIENTS
            found["rejoin_broker_us"] = used["broker"] / CLIENTS * 1e6
            with it.using() as used:
                crowd.ask("drop", returning=False)
                crowd.until(lambda state: not state.inside, "all gone", within=60)
                time.sleep(2)
            found["leave_ms"] = used["server"] / CLIENTS * 1e3
        publisher.close()


def heartbeats(found: dict[str, float]) -> None:
    with Bench(CROWD_HEARTBEAT="2").running() as it, it.crowd(CLIENTS, "") as crowd:
        crowd.come(64)
        time.sleep(2)
        crowd.ask("mark")
        before = crowd.state()
        with it.using() as used:
            time.sleep(10)
        after = crowd.state()
        pings = after.counts["pings"]
        found["heartbeat_us"] = (used["server"] - found["worker_idle_ms_per_s"] * used["took"] / 1e3) / pings * 1e6
        found["heartbeat_bytes"] = (after.received - before.received) / pings


def refusals(found: dict[str, float]) -> None:
    """Handshakes beyond `Limits(handshakes=)`: of those who come again and again for ten seconds."""
    with (
        Bench(CROWD_HANDSHAKES="1", HUBBUB_PROXIES="127.0.0.1").running() as it,
        it.crowd(CLIENTS, "", forwarded=True) as crowd,
    ):
        crowd.ask("drop")
        with it.using() as used:
            crowd.ask("storm")
            time.sleep(10)
            state = crowd.state()
        found["refusal_ms"] = used["server"] / max(1, state.refused) * 1e3


def messages(found: dict[str, float]) -> None:
    """From a client in to the broker, out of it, and to members; paced, so that each comes alone."""
    rate, seconds = 1_000.0, 5.0
    with Bench().running() as it:
        it.load("ours", kind="fanout", connections=100, duration=1.0)
        with it.using() as used:
            said = it.load("ours", kind="fanout", connections=1_000, rate=50.0, duration=seconds, warm_up=0.0)
        opened = 1_000 * (found["enter_ms"] + found["leave_ms"]) / 1e3
        found["delivery_us"] = (used["server"] - opened) / said["deliveries"] * 1e6
        for prefix, name in (("ours", "message"), ("ours-kept", "kept_message")):
            memory = it.broker_memory
            with it.using() as used:
                said = it.load(prefix, kind="rooms", connections=20, rooms=20, rate=rate, duration=seconds, warm_up=0.0)
            count = said["messages"]
            found[f"{name}_us"] = used["server"] / count * 1e6 - found["delivery_us"]
            found[f"{name}_broker_us"] = used["broker"] / count * 1e6
            idle = found["worker_idle_broker_commands_per_s"] * used["took"]
            found[f"{name}_broker_commands"] = (used["commands"] - idle) / count
            if name == "kept_message":
                found["kept_broker_bytes"] = (it.broker_memory - memory) / count - 200
        publisher = Publisher(it.url)
        with it.crowd(1, "room:one") as one:
            one.come()
            before, count = one.state(), 3_000
            with it.using() as used:
                for number in range(count):
                    publisher.room("room:one").send({"type": "said", "number": number, "content": "x" * 200})
                after = one.until(lambda state: len(state.heard) == count, "all heard", within=60)
            found["receive_us"] = max(0.0, used["server"] / count * 1e6 - found["delivery_us"])
            found["delivery_bytes_beside_content"] = (after.received - before.received) / count - 200
        publisher.close()


def copies(found: dict[str, float]) -> None:
    """What one more subscriber costs the broker for each message."""
    count, each = 5_000, {}
    with pinned({machine.cores()[0]}):
        valkey = EmbeddedValkey()
        valkey.start()
    try:
        path = unquote(urlsplit(valkey.url).path)
        redis, process = Redis(unix_socket_path=path), psutil.Process(valkey.pid)
        for subscribers in (1, 21):
            members = []
            for _ in range(subscribers):
                member = socket.socket(socket.AF_UNIX)
                member.connect(path)
                member.sendall(b"SUBSCRIBE copies\r\n")
                member.recv(4096)
                members.append(member)
            used = process.cpu_times()
            for _ in range(count):
                redis.publish("copies", b"x" * 300)
                for member in members:
                    member.recv(65536)
            after = process.cpu_times()
            each[subscribers] = (after.user + after.system - used.user - used.system) / count * 1e6
            for member in members:
                member.close()
    finally:
        valkey.stop()
    found["broker_copy_us"] = (each[21] - each[1]) / 20


PARTS: Mapping[str, Callable[[dict[str, float]], None]] = {
    "connections": connections,
    "returns": returns,
    "heartbeats": heartbeats,
    "refusals": refusals,
    "messages": messages,
    "copies": copies,
}


def text(found: Mapping[str, float], machine_said: str, date: str) -> str:
    """The file of figures."""
    measured = pprint.pformat(
        {name: float(f"{value:.3g}") for name, value in sorted(found.items())}, width=100, sort_dicts=False
    )
    measured = "{\n    " + measured[1:-1].replace("\n ", "\n    ").replace("'", '"') + ",\n}"
    of = "Processor seconds of the process, not of the clock: a machine that is busy with others makes them more."
    return _HEAD.format(
        command="python -m benchmarks.costs --write",
        of=of,
        machine=json.dumps(machine_said),
        date=json.dumps(date),
        measured=measured,
    )


def _tried(part: Callable[[dict[str, float]], None], found: dict[str, float]) -> None:
    """Again where the machine had no time for it: what was measured then is not looked at."""
    for _ in range(2):
        try:
            return part(found)
        except (LoadFailed, AssertionError) as failure:
            print(f"again: {failure}", file=sys.stderr, flush=True)
    return part(found)


def _less(used: Mapping[str, float], idle: Mapping[str, float]) -> float:
    """Without what the worker does anyway."""
    return used["server"] - idle["server"] / idle["took"] * used["took"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"into {DATA.name}, instead of printing it")
    asked = parser.parse_args()
    machine.raise_file_limit(16_384)
    cores, busy = len(os.sched_getaffinity(0)), os.getloadavg()[1]
    said = f"{machine.cpu()}, {cores} cores, load average {busy:.0f}; Python {sys.version.split()[0]}"
    found: dict[str, float] = {}
    for name, part in PARTS.items():
        _tried(part, found)
        so_far = ", ".join(f"{key} {value:.4g}" for key, value in found.items())
        print(f"{name}: {so_far}", file=sys.stderr, flush=True)
    written = text(found, said, datetime.datetime.now(datetime.UTC).date().isoformat())
    if asked.write:
        DATA.write_text(written)
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(DATA)], check=True)
    else:
        print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
