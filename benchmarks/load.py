"""The load: one run of `hubbub bench`'s engine in a process of its own, on the core that the server does not have.

`python -m benchmarks.load` reads a run from its standard input as JSON and prints what came of it. A process for each
run keeps what one left behind in memory out of the next.
"""

import contextlib
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.machine import raise_file_limit
from benchmarks.peers import SECRET
from benchmarks.serving import Running, pinned
from hubbub.errors import ConfigurationError

if TYPE_CHECKING:
    from hubbub.loadtest.traffic import Speaker, Traffic


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be run: `workload` are the arguments of `hubbub.loadtest.workloads.Workload`."""

    dialect: str
    workload: dict[str, Any]


class LoadFailed(Exception):
    """The run ended before its time; the text is the tool's sentence."""


@contextlib.contextmanager
def loading(server: Running, load: Load, *, cores: set[int]) -> Iterator["subprocess.Popen[str]"]:
    """The load as it runs; ended with the block where it has not."""
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"port": server.port, **dataclasses.asdict(load)}))
        process.stdin.close()
        # A closed pipe must not be closed again by communicate().
        process.stdin = None
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def outcome(process: "subprocess.Popen[str]", *, within: float = 300.0) -> dict[str, Any]:
    """What came of it. Raises LoadFailed."""
    try:
        printed, complaint = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"the load was not done within {within:.0f} s") from None
    if process.returncode:
        raise LoadFailed(complaint.strip().splitlines()[-1] if complaint.strip() else "the load ended without a word")
    result: dict[str, Any] = json.loads(printed)
    return result


def run(server: Running, load: Load, *, cores: set[int]) -> dict[str, Any]:
    """Run it to its end: `hubbub.loadtest.result.Result` as JSON, for a fan-out with what `_of_rounds` says.

    Raises LoadFailed.
    """
    with loading(server, load, cores=cores) as process:
        return outcome(process)


def errors(said: dict[str, Any]) -> str | None:
    """What was wrong with the deliveries, in words; None of them at all is wrong too."""
    if not said["deliveries"]:
        return "nothing was delivered"
    found = [f"{number:,} {name.replace('_', ' ')}" for name, number in said["errors"].items() if number]
    return ", ".join(found) or None


def _record_rounds(traffic: "type[Traffic]") -> list[tuple[float, int]]:
    """When how many messages were sent, from the end of the warm-up to the end of the time."""
    rounds: list[tuple[float, int]] = []
    say = traffic.say

    def timed(self: "Traffic", speaker: "Speaker", number: int = 1) -> None:
        if time.perf_counter_ns() >= self.counting:
            rounds.append((time.perf_counter(), number))
        say(self, speaker, number)

    traffic.say = timed  # type: ignore[method-assign]
    return rounds


def _of_rounds(rounds: list[tuple[float, int]], members: int) -> dict[str, Any]:
    """Deliveries a second within the time, and `last`, publish to last member in milliseconds.

    The next message is sent when all members have an outstanding one, so what is sent counts what is done. The tool's
    own figure waits for everything that was sent and divides by that time too: a server that has fifty messages in
    flight for seconds each would look slower than it is, and a run of two seconds must not say that.
    """
    if len(rounds) < 3:
        return {"last": {}}
    done = sum(number for _, number in rounds[1:]) / (rounds[-1][0] - rounds[0][0])
    taken = sorted((end - begin) * 1000 for (begin, _), (end, _) in itertools.pairwise(rounds))
    last = {"p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100]}
    return {"deliveries_per_second": done * members, "last": last}


def _main() -> int:
    # Here, because the process that starts the load has no use for the engine.
    from benchmarks.dialects import dialect
    from hubbub.loadtest.run import run as run_load
    from hubbub.loadtest.traffic import Traffic
    from hubbub.loadtest.workloads import BenchError, Target, Workload

    asked = json.load(sys.stdin)
    rounds = _record_rounds(Traffic) if asked["workload"]["kind"] == "fanout" else []
    target = Target.parse(f"ws://127.0.0.1:{asked['port']}")
    raise_file_limit(asked["workload"].get("connections", 1000) + 200)
    try:
        result = run_load(Workload(**asked["workload"]), dialect(asked["dialect"], SECRET), target)
    except (BenchError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result.to_json() | _of_rounds(rounds, result.workload.members)))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
