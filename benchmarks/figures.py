"""What was measured, as ratios: repetitions are interleaved, each gives one ratio, and their median is what counts.

Two shared cores are noisy, and noise comes in seconds, not in milliseconds. A ratio within one repetition compares
neighbours in time; a ratio of two medians would compare one server's good minute with another's bad one.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(slots=True)
class Row:
    """One server. `values` has one entry a repetition, None where it failed; `details` are further figures likewise."""

    title: str
    values: list[float | None] = field(default_factory=list)
    details: dict[str, list[float]] = field(default_factory=dict)
    failure: str | None = None

    @property
    def measured(self) -> list[float]:
        return [value for value in self.values if value is not None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure to reach: a ratio against the row `against`, or without it a figure of its own."""

    subject: str
    limit: float
    against: str | None = None
    reach: Literal["at least", "at most"] = "at least"
    wish: bool = False
    """Hoped for, not required."""


@dataclass(slots=True)
class Table:
    """One work. `unit` of the values; `rows` by the contestants' keys, ours first."""

    key: str
    title: str
    unit: str
    bars: list[Bar] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    digits: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, title: str, value: float, **details: float) -> None:
        row = self.rows.setdefault(key, Row(title))
        row.values.append(value)
        for name, detail in details.items():
            row.details.setdefault(name, []).append(detail)

    def fail(self, key: str, title: str, why: str) -> None:
        row = self.rows.setdefault(key, Row(title))
        row.values.append(None)
        row.failure = why

    def ratios(self, subject: str, against: str) -> list[float]:
        """One for each repetition in which both were measured."""
        pairs = zip(self.rows[subject].values, self.rows[against].values, strict=False)
        return [mine / theirs for mine, theirs in pairs if mine is not None and theirs]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and what was reached: the median, the least and the greatest."""

    bar: Bar
    value: float
    low: float
    high: float

    @property
    def reached(self) -> bool:
        return self.value >= self.bar.limit if self.bar.reach == "at least" else self.value <= self.bar.limit


def verdicts(table: Table) -> list[Verdict]:
    """Of each bar whose rows were measured."""
    found = []
    for bar in table.bars:
        if bar.subject not in table.rows or (bar.against is not None and bar.against not in table.rows):
            continue
        reached = table.rows[bar.subject].measured if bar.against is None else table.ratios(bar.subject, bar.against)
        if reached:
            found.append(Verdict(bar, median(reached), min(reached), max(reached)))
    return found


def as_json(table: Table) -> dict[str, Any]:
    return {
        "key": table.key,
        "title": table.title,
        "unit": table.unit,
        "digits": table.digits,
        "notes": table.notes,
        "rows": {
            key: {"title": row.title, "values": row.values, "details": row.details, "failure": row.failure}
            for key, row in table.rows.items()
        },
        "bars": [
            {"subject": b.subject, "against": b.against, "reach": b.reach, "limit": b.limit, "wish": b.wish}
            for b in table.bars
        ],
    }


def from_json(said: dict[str, Any]) -> Table:
    return Table(
        said["key"],
        said["title"],
        said["unit"],
        [Bar(**bar) for bar in said["bars"]],
        {key: Row(**row) for key, row in said["rows"].items()},
        said["digits"],
        said["notes"],
    )
