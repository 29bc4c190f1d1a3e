"""The tables, as Markdown: the same text in the terminal and in the page.

`python -m benchmarks.report` puts the last results into `docs/explain/performance.md`, between its marks, and draws the
plot. It measures nothing.
"""

import json
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Row, Table, Verdict, from_json, verdicts
from benchmarks.plot import draw
from benchmarks.serving import WORK

ROOT = Path(__file__).parent.parent
RESULTS = WORK / "results.json"
PAGE = ROOT / "docs/explain/performance.md"
PLOT = ROOT / "docs/images/performance.svg"


def markdown(table: Table) -> str:
    """The figures of one work: median, spread, and our ratio to each."""
    names = list(dict.fromkeys(name for row in table.rows.values() for name in row.details))
    first = next(iter(table.rows))
    compared = len(table.rows) > 1
    head = [
        "",
        table.unit,
        "from, to",
        *names,
        *(["ours / this" if first == "ours" else "first / this"] if compared else []),
    ]
    lines = [markdown_line(head), markdown_line(["---", *["--:"] * (len(head) - 1)])]
    for key, row in table.rows.items():
        cells = [row.title, *_figures(row, table.digits)]
        cells += [_number(median(row.details[name])) if name in row.details else "" for name in names]
        if compared:
            ratios = table.ratios(first, key) if key != first else []
            cells.append(f"{median(ratios):.2f} x" if ratios else "")
        lines.append(markdown_line(cells))
    failures = [f"{row.title} failed: {row.failure}" for row in table.rows.values() if row.failure]
    return "\n".join([*lines, *(f"\n{note}" for note in [*failures, *table.notes])])


def bars(tables: list[Table]) -> str:
    """Each figure to reach, and what was reached."""
    lines = [
        markdown_line(["work", "bar", "measured", "from, to", ""]),
        markdown_line(["---", "---", "--:", "--:", "---"]),
    ]
    for table in tables:
        for verdict in verdicts(table):
            # A hope is not a promise that was broken.
            missed = "not quite" if verdict.bar.wish else "**no**"
            cells = [table.title, _bar(table, verdict), _measured(verdict, verdict.value)]
            cells += [f"{verdict.low:.2f} to {verdict.high:.2f}", "yes" if verdict.reached else missed]
            lines.append(markdown_line(cells))
    return "\n".join(lines)


def machine(said: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
    return (
        f"{said['cpu']}, {said['cores']} cores, {said['memory_gib']} GiB, {said['kernel']}; Python {said['python']}, "
        f"Node {said['node']}, Bun {said['bun']}; {versions}. Measured on {said['date']}."
    )


def read_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"machine": None, "tables": {}}
    return results


def write_page(results: dict[str, Any]) -> None:
    """Fill the page's marks, `<!-- bench:NAME -->` to `<!-- end -->`. What was not measured keeps its text."""
    tables = {key: from_json(table) for key, table in results["tables"].items()}
    filled = {key: markdown(table) for key, table in tables.items()}
    filled |= {"bars": bars(list(tables.values())), "machine": machine(results["machine"])}

    def fill(match: re.Match[str]) -> str:
        text = filled.get(match[1])
        return match[0] if text is None else f"<!-- bench:{match[1]} -->\n\n{text}\n\n<!-- end -->"

    PAGE.write_text(re.sub(r"<!-- bench:([\w-]+) -->\n.*?<!-- end -->", fill, PAGE.read_text(), flags=re.DOTALL))
    fanout = [tables[key] for key in ("fanout-1", "fanout-10", "fanout-50") if key in tables]
    if any(row.measured for table in fanout for row in table.rows.values()):
        PLOT.write_text(draw(fanout))


def _figures(row: Row, digits: int) -> list[str]:
    measured = row.measured
    if not measured:
        return ["", ""]
    spread = f"{min(measured):,.{digits}f} to {max(measured):,.{digits}f}" if len(measured) > 1 else ""
    return [f"{median(measured):,.{digits}f}", spread]


def _bar(table: Table, verdict: Verdict) -> str:
    bar = verdict.bar
    subject = "" if bar.subject == next(iter(table.rows)) else f"{table.rows[bar.subject].title}: "
    hoped = " (hoped for)" if bar.wish else ""
    if bar.against is None:
        return f"{subject}{bar.reach} {bar.limit:g} {table.unit}{hoped}"
    return f"{subject}{bar.reach} {bar.limit:g} x {table.rows[bar.against].title}{hoped}"


def _measured(verdict: Verdict, value: float) -> str:
    return f"{value:.2f}" if verdict.bar.against is None else f"{value:.2f} x"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown_line(cells: list[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    if not RESULTS.exists():
        sys.exit("There are no results yet: make bench")
    write_page(read_results())
