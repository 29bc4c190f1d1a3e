"""Several processes of `benchmarks.crowd` as one crowd: what one of them may open is not enough for all."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.crowd import Setup

MOST = 15_000
"""Clients of one process, which may open 20,000 files on many machines."""
_ROOT = Path(__file__).parent.parent


@dataclass(slots=True)
class State:
    """Of all of them. `returns`: seconds since the last `mark` after which each came in, sorted.

    received: bytes, from the beginning.
    heard: by the number that was said, how many heard it and when the last did, by `time.time`.
    """

    inside: int = 0
    received: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    heard: dict[int, tuple[int, float]] = field(default_factory=dict)
    behind: set[int] = field(default_factory=set)

    @property
    def refused(self) -> int:
        return sum(times for what, times in self.counts.items() if what.startswith("refused_"))


class Crowds:
    """`count` clients in as many processes as it takes, ended with the block.

    Raises AssertionError for what does not come about in time, and where a process ended.
    """

    def __init__(
        self,
        port: int,
        count: int,
        *,
        secret: str,
        rooms: list[str],
        processes: int | None = None,
        sources: int = 0,
        forwarded: bool = False,
        seed: int = 1,
    ) -> None:
        self.count = count
        number = processes or -(-count // MOST)
        self._processes: list[subprocess.Popen[str]] = []
        firsts = [count * at // number for at in range(number + 1)]
        addresses = [f"127.0.0.{2 + at}" for at in range(sources)]
        for first, end in pairwise(firsts):
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.crowd"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=_ROOT,
            )
            self._processes.append(process)
            _write(process, asdict(Setup(port, first, end - first, secret, rooms, addresses, forwarded, seed)))

    def ask(self, do: str, **asked: Any) -> list[dict[str, Any]]:
        """What each process answers, once all have."""
        for process in self._processes:
            _write(process, {"do": do, **asked})
        return [_read(process) for process in self._processes]

    def come(self, connecting: int = 200) -> float:
        """Returns when all are in: the seconds it took."""
        began = time.monotonic()
        self.ask("come", connecting=max(1, connecting // len(self._processes)))
        return time.monotonic() - began

    def talk(self, *, seconds: float = 0.0, rounds: int = 1) -> tuple[int, float, float]:
        """How many were answered, and the p50 and p99 of the time it took, in seconds."""
        said = self.ask("talk", seconds=seconds, rounds=rounds)
        taken = sorted(each for one in said for each in one["latencies"])
        return sum(one["answered"] for one in said), taken[len(taken) // 2], taken[len(taken) * 99 // 100]

    def state(self) -> State:
        state = State()
        for said in self.ask("state"):
            state.inside += said["inside"]
            state.received += said["received"]
            state.counts.update(said["counts"])
            state.wrong += said["wrong"]
            state.returns += said["returns"]
            state.behind.update(said["behind"])
            for number, (times, last) in said["heard"].items():
                before = state.heard.get(int(number), (0, 0.0))
                state.heard[int(number)] = (before[0] + times, max(before[1], last))
        state.returns.sort()
        return state

    def until(self, condition: Callable[[State], bool], what: str, *, within: float, every: float = 0.5) -> State:
        """Raises AssertionError, with where they are, when it takes longer."""
        deadline = time.monotonic() + within
        while not condition(state := self.state()):
            if time.monotonic() > deadline:
                told = f"{state.inside:,} inside, {dict(state.counts)}, wrong: {state.wrong[:3]}"
                raise AssertionError(f"not within {within:g} s: {what}; {told}")
            time.sleep(every)
        return state

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return sum(psutil.Process(each.pid).memory_info().rss for each in self._processes)

    @property
    def busy(self) -> float:
        """Processor seconds."""
        times = [psutil.Process(each.pid).cpu_times() for each in self._processes]
        return float(sum(each.user + each.system for each in times))

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _write(process: "subprocess.Popen[str]", order: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def _read(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"a process of the crowd ended with {process.poll()}"
    answer: dict[str, Any] = json.loads(line)
    return answer
