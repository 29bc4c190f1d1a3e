"""`python -m tests.churn`, which is `make churn`: a million cycles on uvloop and on asyncio, and what they leave.

The server is a process of its own with the memory broker, or with `--valkey` one whose keys are counted. The exit code
is 1 where its memory grows by more than 1 MB per 100,000 cycles, or anything does not come back to where it began.
"""

import argparse
import sys
import time

import uvloop

from tests.churn.measuring import Report, measure


def main() -> int:
    made = argparse.ArgumentParser(prog="python -m tests.churn", description=__doc__)
    made.add_argument("--cycles", type=int, default=1_000_000, help="on each loop. Default 1,000,000")
    made.add_argument("--loops", nargs="+", default=["uvloop", "asyncio"], choices=["uvloop", "asyncio"])
    made.add_argument("--valkey", action="store_true", help="with the embedded Valkey instead of memory")
    asked = made.parse_args()
    well = True
    for loop in asked.loops:
        begun = time.monotonic()
        report = uvloop.run(measure(loop, asked.cycles, valkey=asked.valkey, tell=tell))
        print(f"{loop}: {report} in {time.monotonic() - begun:.0f} s", flush=True)  # noqa: T201 - the result of a command
        well = well and report.well
    return 0 if well else 1


def tell(report: Report) -> None:
    print(f"  {report}", file=sys.stderr, flush=True)  # noqa: T201 - how far it is


if __name__ == "__main__":
    sys.exit(main())
