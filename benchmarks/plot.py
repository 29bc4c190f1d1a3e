"""One plot, written as SVG by hand: bars for each server, a panel for each number of messages in flight.

Its background is its own and follows the reader's scheme, so that it can be read wherever it is shown.
"""

from html import escape
from math import floor, log10
from statistics import median

from benchmarks.figures import Table

_WIDTH = 840
_LABEL = 270
_VALUE = 90
_BAR = 18
_STEP = 26
_HEAD = 58
_GAP = 22

_STYLE = """
  .paper { fill: #ffffff } .line { stroke: #d4d8de } .text { fill: #1c2128 } .faint { fill: #5b6470 }
  .ours { fill: #c2410c } .peer { fill: #8793a3 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .title { font-size: 14px; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #15191f } .line { stroke: #343c47 } .text { fill: #e6e9ee } .faint { fill: #9aa5b4 }
    .ours { fill: #fb923c } .peer { fill: #66717f }
  }
"""


def draw(panels: list[Table]) -> str:
    """The SVG of these tables, each sorted, the best first."""
    top = 16
    drawn = []
    for panel in panels:
        if not any(row.measured for row in panel.rows.values()):
            continue
        text, height = _panel(panel, top)
        drawn.append(text)
        top += height + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'role="img" aria-label="Deliveries a second of one room, by server">\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{_WIDTH}" height="{top}" rx="8"/>\n{"".join(drawn)}</svg>\n'
    )


def _panel(panel: Table, top: int) -> tuple[str, int]:
    rows = [(median(row.measured), key, row.title) for key, row in panel.rows.items() if row.measured]
    rows.sort(reverse=True)
    greatest = _round_up(rows[0][0])
    scale = (_WIDTH - _LABEL - _VALUE) / greatest
    lines = [f'<text class="text title" x="16" y="{top + 18}">{escape(panel.title)}</text>\n']
    lines.append(f'<text class="faint" x="16" y="{top + 36}">{escape(panel.unit)}</text>\n')
    bottom = top + _HEAD + len(rows) * _STEP
    for part in range(5):
        x = _LABEL + part * greatest / 4 * scale
        lines.append(f'<line class="line" x1="{x:.1f}" y1="{top + _HEAD - 8}" x2="{x:.1f}" y2="{bottom}"/>\n')
        label = _short(part * greatest / 4)
        lines.append(f'<text class="faint" x="{x:.1f}" y="{top + _HEAD - 13}" text-anchor="middle">{label}</text>\n')
    for at, (value, key, title) in enumerate(rows):
        y = top + _HEAD + at * _STEP
        kind = "ours" if key.startswith("ours") else "peer"
        lines.append(f'<text class="text" x="{_LABEL - 10}" y="{y + 14}" text-anchor="end">{escape(title)}</text>\n')
        width = max(1.0, value * scale)
        lines.append(f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>\n')
        lines.append(f'<text class="text" x="{_LABEL + width + 8:.1f}" y="{y + 14}">{_short(value)}</text>\n')
    return "".join(lines), bottom - top


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 or 8 times a power of ten, so that quarters are round too."""
    power = 10.0 ** floor(log10(value))
    return next((step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8) if step * power >= value), 10 * power)


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:.2f} M"
    return f"{value / 1000:,.0f} k" if value >= 1000 else f"{value:.0f}"
