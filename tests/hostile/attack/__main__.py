"""`make attack`, or `python -m tests.hostile.attack [ATTACK …]`: what each attack costs the users beside it.

Prints the rows as Markdown, and with `--page` puts them into `SECURITY.md`.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.machine import cores, raise_file_limit, warn_when_busy

from tests.hostile.attack.attacks import ATTACKS, Attack
from tests.hostile.attack.measure import ROOT, Cores, Outcome, measure

PAGE = ROOT / "SECURITY.md"
BEGIN, END = "<!-- make attack writes this -->", "<!-- to here -->"

#: All at once.
ALL, TOGETHER = "all", "all of these at once"

#: What the users beside an attack may wait, in p99 of those who are not attacked.
TWICE = 2.0

_HEAD = "| attack | p99 in quiet | p99 beside it | ratio | memory | worked | attackers were answered |"
_BEFORE = " before |"


def parser() -> argparse.ArgumentParser:
    shaped = "\n".join(f"  {attack.name:<11} {attack.says}" for attack in ATTACKS.values())
    made = argparse.ArgumentParser(
        prog="python -m tests.hostile.attack",
        description="Attackers beside users: the server on one core, all others on another.",
        epilog=f"attacks:\n{shaped}\n  {ALL:<11} {TOGETHER}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("attacks", nargs="*", metavar="ATTACK", help="which; default each, then all at once")
    made.add_argument("--seconds", type=float, default=5.0, help="that each measurement takes. Default 5")
    made.add_argument("--runs", type=int, default=1, help="of each; that with the median ratio counts. Default 1")
    made.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="whose Hubbub serves; default this one's"
    )
    made.add_argument("--before", metavar="PATH", help="whose Hubbub to compare: another checkout's .venv/bin/python")
    made.add_argument("--page", action="store_true", help="put the rows into SECURITY.md; needs all attacks")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0 measured, whatever the figures are; 2 no such attack."""
    asked = parser().parse_args(arguments)
    names = asked.attacks or [*ATTACKS, ALL]
    if unknown := sorted(set(names) - {*ATTACKS, ALL}):
        parser().error(f"no such attack: {', '.join(unknown)}; there are {', '.join(ATTACKS)} and {ALL}")
    if asked.page and asked.attacks:
        parser().error("--page needs all attacks: the page would have rows of two runs")
    pinned = Cores(*cores())
    raise_file_limit(16_384)
    if busy := warn_when_busy():
        print(busy, end="\n\n")
    columns = _HEAD + (_BEFORE if asked.before else "")
    table = [columns, "|---" * (columns.count("|") - 1) + "|"]
    print(*table, sep="\n", flush=True)
    ratios: list[float] = []
    for name in names:
        attacks = list(ATTACKS.values()) if name == ALL else [ATTACKS[name]]

        def median(python: str, attacks: Sequence[Attack] = tuple(attacks)) -> Outcome:
            runs = [measure(attacks, python, pinned, asked.seconds) for _ in range(asked.runs)]
            return sorted(runs, key=lambda each: each.ratio)[len(runs) // 2]

        says = TOGETHER if name == ALL else attacks[0].says
        now = median(asked.python)
        ratios.append(now.ratio)
        table.append(row(says, now, median(asked.before) if asked.before else None))
        print(table[-1], flush=True)
    print(f"\n{sum(ratio <= TWICE for ratio in ratios)} of {len(ratios)} at most {TWICE:g} times as long as in quiet.")
    if asked.page:
        PAGE.write_text(written(PAGE.read_text(), "\n".join(table)))
    return 0


def row(says: str, now: Outcome, before: Outcome | None) -> str:
    cells = [
        says,
        f"{now.quiet.p99:.1f} ms",
        waited(now),
        f"{now.ratio:.1f}",
        f"{now.growth / 2**20:+.0f} MiB",
        f"{now.busy:.0%}",
        now.told,
    ]
    if before is not None:
        cells.append(f"{waited(before)}, {before.growth / 2**20:+.0f} MiB")
    return f"| {' | '.join(cells)} |"


def waited(outcome: Outcome) -> str:
    """What the users waited, and what became of them."""
    lost = f", {outcome.attacked.lost:,} unanswered" if outcome.attacked.lost else ""
    gone = f", {outcome.attacked.gone:,} users gone" if outcome.attacked.gone else ""
    return f"{outcome.attacked.p99:.1f} ms{lost}{gone}"


def written(text: str, table: str) -> str:
    """The page with this table in it."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    sys.exit(main())
