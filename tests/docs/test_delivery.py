"""`docs/explain/delivery.md`: the tests it names are there, and the defaults it tells are the code's."""

import ast
import re

import pytest

from hubbub import Leaving
from hubbub.hub.drain import DEAF
from hubbub.presence.leases import _RENEW, _TTL
from tests.docs.pages import ROOT, read, rows, sections

PAGE = "docs/explain/delivery.md"
TESTED = [*rows(sections(PAGE)["How it is tested"])]


def test_the_table_is_long() -> None:
    assert len(TESTED) == 30
    assert len({what for what, _, _ in TESTED}) == 30


@pytest.mark.parametrize("row", TESTED, ids=lambda row: row[0][:40])
def test_what_shows_it_is_there(row: list[str]) -> None:
    _, holds, shown = row
    assert holds
    named = re.fullmatch(r"`[\w/.:]+`(, `[\w/.:]+`)*", shown)
    assert named, shown
    for test in shown.replace("`", "").split(", "):
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name.startswith("test_")
        assert [each.name for each in functions].count(name) == 1, test


def test_the_defaults_it_tells() -> None:
    text, lease = read(PAGE), Leaving().lease
    assert lease == DEAF == 10
    assert "within the lease, ten seconds unless you say otherwise" in text.replace("\n", " ")
    assert "did not come back for ten\nseconds means that the worker is deaf" in text
    assert lease * _RENEW == 2
    assert "renews it every two seconds" in text
    assert f"longer than its lease, {lease * _TTL:g} s" in text
