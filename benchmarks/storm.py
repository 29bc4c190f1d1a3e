"""A storm and a deploy under `hubbub serve` with real clients, beside what `hubbub.sizing.storm` plays of them.

    python -m benchmarks.storm [--clients 1000 5000 15000] [--workers 3] [--handshakes 100]

In the storm every socket ends at once; in the deploy SIGHUP replaces the workers one by one. All clients are in rooms
with history, come back with `since`, and count that nothing is missing. `--handshakes` is the gate of each worker: with
a low one it is the rules that are compared, and not how busy this machine is. Clients have addresses of their own, as
behind a proxy, because the gate does not count loopback. How much of this machine the workers had, and how long one
took to start, is measured and given to what is played; all else is its rules and the measured costs.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.crowds import Crowds, State
from benchmarks.peers import SECRET
from benchmarks.report import markdown_line
from benchmarks.serving import Command, Running, serving
from hubbub.sizing.costs import measured_costs
from hubbub.sizing.storm import Cluster, Outcome, deploy, storm

_ROOMS = [f"kept:{at}" for at in range(10)]
_LONGEST = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, nargs="+", default=[1_000, 5_000, 15_000])
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--handshakes", type=float, default=100.0)
    asked = parser.parse_args()
    head = ["", "", "half back s", "99 % back s", "all back s", "refused", "closed", "processor s"]
    print(markdown_line(head), markdown_line(["---", "---", *["--:"] * 6]), sep="\n", flush=True)
    for clients in asked.clients:
        measure(clients, asked.workers, asked.handshakes)
    return 0


def measure(clients: int, workers: int, handshakes: float) -> None:
    arguments = [str(Path(sys.executable).parent / "hubbub"), "serve", "benchmarks.crowded:app", "--port", "{port}"]
    arguments += ["--workers", str(workers), "--no-access-log", "--log-level", "warning"]
    environment = {"HUBBUB_SECRET": SECRET, "CROWD_HANDSHAKES": str(handshakes), "HUBBUB_PROXIES": "127.0.0.1"}
    everywhere = os.sched_getaffinity(0)
    with (
        serving("storm", Command(arguments, environment, ready="/health/ready"), cores=everywhere) as server,
        Crowds(server.port, clients, secret=SECRET, rooms=_ROOMS, forwarded=True) as crowd,
    ):
        work, began = used(server), time.monotonic()
        crowd.ask("storm")
        crowd.until(lambda state: state.inside == clients, "all in", within=_LONGEST)
        # What the workers had of this machine while everybody came in for the first time.
        share = (used(server) - work) / (time.monotonic() - began) / workers
        for room in _ROOMS:
            httpx.post(f"http://127.0.0.1:{server.port}/say/{room}", json={"number": 1}, trust_env=False, timeout=30)
        crowd.until(lambda state: state.heard.get(1, (0, 0.0))[0] == clients, "all have heard", within=_LONGEST)
        time.sleep(3)  # The gates fill up again.
        work = used(server)
        crowd.ask("drop")
        crowd.until(lambda state: state.inside == clients, "all back", within=_LONGEST)
        state = crowd.state()
        rules = {"clients": clients, "workers": workers, "handshakes": handshakes, "processor": share}
        _say("storm", clients, _seen(state, clients), state.refused, clients, used(server) - work)
        _said("storm", clients, storm(_cluster(rules), random.Random(1).gauss), clients)
        time.sleep(3)
        starts = replaced(server)
        crowd.ask("mark")
        work, began = used(server), time.monotonic()
        os.kill(server.pid, signal.SIGHUP)
        until_replaced(server, starts, workers, within=_LONGEST)
        took = time.monotonic() - began
        state = crowd.until(lambda now: now.inside == clients, "all back", within=_LONGEST)
        moved = len(state.returns)
        last = state.returns[-1] if state.returns else 0.0
        times = (float("nan"), float("nan"), last)
        _say("deploy", clients, times, state.refused, moved, used(server) - work)
        # How long a start takes is what this machine was busy with; the rest is the rules'.
        starting = max(0.0, took / workers - 2.5 - _TAIL)
        rules |= {"start_takes": starting, "one_door": True}
        _said("deploy", clients, deploy(_cluster(rules), random.Random(1).gauss), None)
        print(f"  workers replaced in {took:.1f} s; wrong: {state.wrong}", file=sys.stderr, flush=True)
        if state.wrong:
            raise SystemExit(f"something was lost: {state.wrong}")


_TAIL = 0.5


def _cluster(rules: "dict[str, float]") -> Cluster:
    costs = measured_costs()
    whole = {"clients": int(rules["clients"]), "workers": int(rules["workers"])}
    others = {name: value for name, value in rules.items() if name not in whole}
    each = {"come": costs.rejoin, "refuse": costs.refusal, "leave": costs.leave, "start": costs.worker_start}
    return Cluster(**whole, **each, **others, tail=_TAIL)  # type: ignore[arg-type]


def _seen(state: State, clients: int) -> tuple[float, float, float]:
    returns = state.returns[-clients:]
    return returns[len(returns) // 2], returns[len(returns) * 99 // 100], returns[-1]


def _say(
    what: str, clients: int, times: tuple[float, float, float], refused: int, closed: int, work: float, how: str = ""
) -> None:
    told = ["" if each != each else f"{each:.1f}" for each in times]
    row = [f"{what}, {clients:,}", how or "measured", *told, f"{refused:,}", f"{closed:,}", f"{work:.1f}"]
    print(markdown_line(row), flush=True)


def _said(what: str, clients: int, outcome: Outcome, closed: int | None) -> None:
    nothing = float("nan")
    times = (outcome.half, outcome.most, outcome.all) if closed is not None else (nothing, nothing, outcome.all)
    _say(what, clients, times, outcome.refusals, closed or outcome.moves, outcome.work, "played")


def used(server: Running) -> float:
    """Processor seconds of the command and its workers, those that have ended too, without the Valkey's."""
    command = psutil.Process(server.pid)
    own = command.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in command.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "valkey" not in child.name():
                used = child.cpu_times()
                total += used.user + used.system
    return float(total)


def replaced(server: Running) -> set[int]:
    """The workers that a restart replaces."""
    found = set()
    for each in psutil.Process(server.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # It may have ended, or be about to.
            if "spawn_main" in " ".join(each.cmdline()):
                found.add(each.pid)
    return found


def until_replaced(server: Running, before: set[int], workers: int, *, within: float) -> None:
    deadline = time.monotonic() + within
    while (now := replaced(server)) & before or len(now) != workers:
        if time.monotonic() > deadline:
            raise SystemExit(f"the workers were not replaced within {within:g} s")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
