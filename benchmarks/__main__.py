"""`python -m benchmarks [WORK …]`: measure Hubbub beside its peers, and say which bars were reached."""

import argparse
import datetime
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Table, as_json, verdicts

WORKS = {
    "fanout": "one room of 1,000 with 1, 10 and 50 messages in flight",
    "rooms": "100 rooms of 10 in which every member talks",
    "requests": "typed requests and their acknowledgements",
    "handshakes": "sockets opened a second, with a JWT",
    "idle": "memory of an idle connection",
    "many": "15,000 connections on one worker, and one broadcast to all",
    "stall": "what a member that stops reading costs the others",
    "workers": "three workers over Valkey beside one",
}


def parser() -> argparse.ArgumentParser:
    shaped = "\n".join(f"  {work:<11} {what}" for work, what in WORKS.items())
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Hubbub and its peers, measured in one run: the server on one core, the load on another.",
        epilog=f"works:\n{shaped}\n\nThe peers are installed into benchmarks/.work at pinned versions.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("works", nargs="*", metavar="WORK", help="which works; default all")
    made.add_argument("--repetitions", type=_positive, default=3, help="of each server; the median counts. Default 3")
    made.add_argument("--seconds", type=float, default=2.0, help="that each measurement counts. Default 2")
    made.add_argument("--quick", action="store_true", help="one repetition, small: whether it works, no figures")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    made.add_argument("--page", action="store_true", help="put the results into docs/explain/performance.md")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, whatever the figures are; 1 it could not be done, with a sentence."""
    asked = parser().parse_args(arguments)
    unknown = set(asked.works) - WORKS.keys()
    if unknown:
        parser().error(f"no such work: {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    measure(asked)
    return 0


def measure(asked: argparse.Namespace) -> None:
    # Here and not above, so that --help needs nothing that is not installed.
    from benchmarks import capacity, machine, peers, report, workloads

    functions: dict[str, Callable[[workloads.Bench], list[Table]]] = {
        "fanout": workloads.fanout,
        "rooms": workloads.rooms,
        "requests": workloads.requests,
        "handshakes": workloads.handshakes,
        "idle": capacity.idle,
        "many": capacity.many,
        "stall": capacity.stall,
        "workers": capacity.workers,
    }
    server, load = machine.cores()
    peers.install()
    # Servers inherit it.
    machine.raise_file_limit(16_384)
    bench = workloads.Bench({server}, {load}, asked.repetitions, asked.seconds)
    if asked.quick:
        bench = workloads.Bench({server}, {load}, 1, 1.0, scale=10)
    described = machine.describe(peers.bun_program()) | {"date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    print(report.machine(described), end="\n\n", flush=True)
    if busy := machine.warn_when_busy():
        print(busy, end="\n\n", flush=True)
    # A run of all works replaces what was kept; a run of some replaces theirs.
    results = report.read_results() if asked.works else {"machine": None, "tables": {}}
    started = time.monotonic()
    measured: list[Table] = []
    for work in asked.works or WORKS:
        print(f"{work}: {WORKS[work]}", flush=True)
        for table in functions[work](bench):
            measured.append(table)
            results["tables"][table.key] = as_json(table)
            print(f"\n{table.title}\n\n{report.markdown(table)}\n", flush=True)
    results["machine"] = described
    if asked.quick:
        print("A quick run shows that everything works; its figures mean nothing, and are not kept.")
    else:
        report.RESULTS.write_text(json.dumps(results, indent=1))
        reached = [verdict.reached for table in measured for verdict in verdicts(table) if not verdict.bar.wish]
        print(report.bars(measured), end="\n\n")
        print(f"{sum(reached)} of {len(reached)} bars reached, in {time.monotonic() - started:.0f} s.")
    if asked.json:
        asked.json.write_text(
            json.dumps({"machine": described, "tables": [as_json(table) for table in measured]}, indent=1)
        )
    if asked.page and not asked.quick:
        report.write_page(results)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
