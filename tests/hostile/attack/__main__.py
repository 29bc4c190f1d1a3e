"""`make attack`, or `python -m tests.hostile.attack [ATTACK …]`: what each attack costs the users beside it.

Prints the rows as Markdown, as `SECURITY.md` has them.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.machine import cores, raise_file_limit, warn_when_busy

from tests.hostile.attack.attacks import ATTACKS
from tests.hostile.attack.measure import Cores, Outcome, measure

#: All at once.
_ALL, _TOGETHER = "all", "all of these at once"

_HEAD = (
    "| attack | p99 in quiet | p99 beside it | ratio | server: memory | worked | attackers were answered |\n"
    "|---|---|---|---|---|---|---|"
)


def parser() -> argparse.ArgumentParser:
    shaped = "\n".join(f"  {attack.name:<11} {attack.says}" for attack in ATTACKS.values())
    shaped += f"\n  {_ALL:<11} {_TOGETHER}"
    made = argparse.ArgumentParser(
        prog="python -m tests.hostile.attack",
        description="Attackers beside users: the server on one core, all others on another.",
        epilog=f"attacks:\n{shaped}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("attacks", nargs="*", metavar="ATTACK", help="which; default each, then all at once")
    made.add_argument("--seconds", type=float, default=5.0, help="that each measurement takes. Default 5")
    made.add_argument(
        "--runs", type=int, default=1, help="of each attack; that with the median ratio counts. Default 1"
    )
    made.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="whose Hubbub serves: another checkout's .venv/bin/python",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0 measured, whatever the figures are; 2 no such attack."""
    asked = parser().parse_args(arguments)
    if unknown := sorted(set(asked.attacks) - {*ATTACKS, _ALL}):
        parser().error(f"no such attack: {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
    pinned = Cores(*cores())
    raise_file_limit(16_384)
    if busy := warn_when_busy():
        print(busy, end="\n\n")
    print(_HEAD, flush=True)
    worst = 0.0
    for name in asked.attacks or [*ATTACKS, _ALL]:
        attacks = list(ATTACKS.values()) if name == _ALL else [ATTACKS[name]]
        runs = [measure(attacks, asked.python, pinned, asked.seconds) for _ in range(asked.runs)]
        one = sorted(runs, key=lambda each: each.ratio)[len(runs) // 2]
        worst = max(worst, one.ratio)
        print(row(_TOGETHER if name == _ALL else attacks[0].says, one), flush=True)
    print(f"\nThe worst ratio is {worst:.1f}.")
    return 0


def row(says: str, one: Outcome) -> str:
    lost = f", {one.attacked.lost:,} unanswered" if one.attacked.lost else ""
    gone = f", {one.attacked.gone:,} users gone" if one.attacked.gone else ""
    cells = (
        says,
        f"{one.quiet.p99:.1f} ms",
        f"{one.attacked.p99:.1f} ms{lost}{gone}",
        f"{one.ratio:.1f}",
        f"{one.growth / 2**20:+.0f} MiB",
        f"{one.busy:.0%}",
        one.told,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
