"""The benchmarks can be started, and what they say of their figures is right. Nothing is measured here."""

import importlib
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.figures import Bar, Table, as_json, from_json, verdicts
from benchmarks.plot import draw
from benchmarks.report import bars, markdown

ROOT = Path(__file__).parent.parent


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def table() -> Table:
    table = Table("fanout-1", "One room", "deliveries/s", [Bar("ours", 1.0, "bun"), Bar("ours", 3, "ws")])
    for ours, bun, ws in ((300, 100, 150), (100, 200, 50), (220, 200, 40)):
        table.add("ours", "Hubbub", ours, p99=1.5)
        table.add("bun", "Bun", bun)
        table.add("ws", "ws", ws)
    return table


def test_help_names_every_work() -> None:
    said = benchmarks("--help")
    assert said.returncode == 0, said.stderr
    for work in ("fanout", "rooms", "requests", "handshakes", "idle", "many", "stall", "workers"):
        assert f"\n  {work} " in said.stdout


def test_an_unknown_work_is_named() -> None:
    said = benchmarks("fanuot")
    assert said.returncode == 2
    assert "no such work: fanuot" in said.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks run on Linux")
@pytest.mark.parametrize(
    "module",
    [
        "capacity",
        "costs",
        "counting",
        "crowd",
        "crowds",
        "dialects",
        "entering",
        "load",
        "machine",
        "many",
        "peers",
        "persistence",
        "storm",
        "tracing",
        "valkey",
        "watchdog",
        "workloads",
    ],
)
def test_every_script_imports(module: str) -> None:
    importlib.import_module(f"benchmarks.{module}")


def test_a_ratio_is_the_median_of_those_of_each_repetition(table: Table) -> None:
    bun, ws = verdicts(table)
    assert (bun.value, bun.low, bun.high, bun.reached) == (1.1, 0.5, 3.0, True)
    assert (ws.value, ws.reached) == (2.0, False)


def test_a_repetition_in_which_one_failed_has_no_ratio(table: Table) -> None:
    table.add("ours", "Hubbub", 900)
    table.fail("bun", "Bun", "3 missing")
    table.add("ws", "ws", 100)
    assert table.ratios("ours", "bun") == [3.0, 0.5, 1.1]
    assert table.ratios("ours", "ws")[-1] == 9.0
    assert "Bun failed: 3 missing" in markdown(table)


def test_a_bar_without_a_peer_is_a_figure(table: Table) -> None:
    table.bars = [Bar("ours", 200, reach="at most"), Bar("ours", 250, reach="at most", wish=True)]
    assert [verdict.reached for verdict in verdicts(table)] == [False, True]


def test_tables_survive_being_kept_and_are_shown(table: Table) -> None:
    kept = from_json(as_json(table))
    assert kept == table
    assert "| Hubbub | 220 | 100 to 300 | 1.5 |  |" in markdown(kept)
    assert "| Bun | 200 | 100 to 200 |  | 1.10 x |" in markdown(kept)
    assert "| One room | at least 3 x ws | 2.00 x | 2.00 to 5.50 | **no** |" in bars([kept])


def test_the_plot_shows_every_server_the_best_first(table: Table) -> None:
    root = ElementTree.fromstring(draw([table]))  # noqa: S314  # our own
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    names = [text for text in texts if text in {"Hubbub", "Bun", "ws"}]
    assert names == ["Hubbub", "Bun", "ws"]
