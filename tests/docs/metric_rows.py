"""The table of all metrics in `docs/howto/metrics.md`, written by `python -m tests.docs.metric_rows`."""

from pathlib import Path

from hubbub.integrations.metric_table import FAMILIES
from hubbub.integrations.metrics import INFO, OF_CLUSTER

PAGE = Path(__file__).parents[2] / "docs/howto/metrics.md"
BEGIN, END = "<!-- metrics: python -m tests.docs.metric_rows writes them -->", "<!-- end of the metrics -->"


def table() -> str:
    rows = [(each.name, each.kind, each.labels, each.help) for each in FAMILIES]
    rows.append(("hubbub_worker_info", "gauge", ("node", "pid", "version"), INFO))
    rows += [(name, "gauge", ("state",) if name == "hubbub_workers" else (), says) for name, says in OF_CLUSTER.items()]
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, says in rows:
        lines.append(f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in labels)} | {says} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with this table in it."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
