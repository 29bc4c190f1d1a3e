"""More connections than one process may open, and a restart of all workers under them, in which nothing may be lost.

    python -m benchmarks.many [--clients 100000] [--workers 7]

`hubbub serve` on so many workers and the embedded Valkey; clients in several processes from several addresses of this
machine, all of them in one room with history. Printed: handshakes a second, memory of both sides, the time of one
broadcast to all, and what a SIGHUP does while numbered messages go on. Every client counts every number.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

import httpx

from benchmarks.crowds import Crowds, State
from benchmarks.peers import SECRET
from benchmarks.serving import Command, Running, serving
from benchmarks.storm import replaced, until_replaced, used

_ROOM = "kept:all"
_LONGEST = 1_800.0
_BROADCASTS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=7)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between messages during the restart")
    asked = parser.parse_args()
    clients, everywhere = asked.clients, os.sched_getaffinity(0)
    arguments = [str(Path(sys.executable).parent / "hubbub"), "serve", "benchmarks.crowded:app", "--port", "{port}"]
    arguments += ["--workers", str(asked.workers), "--no-access-log", "--log-level", "warning"]
    command = Command(arguments, {"HUBBUB_SECRET": SECRET}, ready="/health/ready")
    with serving("many", command, cores=everywhere) as server:
        time.sleep(5)
        before = server.memory
        with Crowds(server.port, clients, secret=SECRET, rooms=[_ROOM], sources=10) as crowd:
            url = f"http://127.0.0.1:{server.port}/say/{_ROOM}"
            work = used(server)
            took = crowd.come(256)
            work = used(server) - work
            print(
                f"{clients:,} connections on {asked.workers} workers in {took:.0f} s: {clients / took:,.0f} a second, ",
                end="",
            )
            print(f"{work / clients * 1e3:.2f} ms of the workers' processors each")
            each = (server.settled() - before) / clients / 1024
            print(f"server {each:.1f} KiB each, clients {crowd.memory / clients / 1024:.1f} KiB each", flush=True)
            for number in range(1, 1 + _BROADCASTS):
                began = time.time()
                say(url, number)
                state = crowd.until(lambda now, n=number: heard(now, n) == clients, "all have heard", within=_LONGEST)
                print(f"a broadcast reached all after {state.heard[number][1] - began:.2f} s", flush=True)
            restart(crowd, server, url, clients, asked.workers, asked.every)
    return 0


def restart(crowd: Crowds, server: Running, url: str, clients: int, workers: int, every: float) -> None:
    """Raises SystemExit where anything was lost."""
    old, over, said = replaced(server), threading.Event(), [_BROADCASTS]
    crowd.ask("mark")

    def speak() -> None:
        while not over.wait(every):
            say(url, said[0] + 1)
            said[0] += 1

    speaker = threading.Thread(target=speak)
    work, began = used(server), time.monotonic()
    speaker.start()
    try:
        os.kill(server.pid, signal.SIGHUP)
        until_replaced(server, old, workers, within=_LONGEST)
        took = time.monotonic() - began
        crowd.until(lambda now: now.inside == clients, "all are back", within=_LONGEST, every=2.0)
    finally:
        over.set()
        speaker.join()
    numbers = range(1 + _BROADCASTS, said[0] + 1)
    state = crowd.until(
        lambda now: all(heard(now, number) >= clients for number in numbers),
        "all heard all",
        within=_LONGEST,
        every=2.0,
    )
    print(
        f"all {workers} workers replaced in {took:.0f} s, {len(state.returns):,} returns, {state.refused:,} refused, ",
        end="",
    )
    print(f"{used(server) - work:.0f} s of the workers' processors")
    twice = sum(heard(state, number) - clients for number in numbers)
    print(f"{len(numbers)} messages meanwhile, each heard by all {clients:,}; twice: {twice}; wrong: {state.wrong}")
    if twice or state.wrong or len(state.behind) != 1:
        raise SystemExit(f"lost or doubled: {state.behind}")


def heard(state: State, number: int) -> int:
    return state.heard.get(number, (0, 0.0))[0]


def say(url: str, number: int) -> None:
    """Until a worker takes it: one that is about to go may not."""
    while True:
        try:
            if httpx.post(url, json={"number": number}, trust_env=False, timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
