import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, read, without_blocks

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(without_blocks(str(page.relative_to(ROOT)))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            links = _LINK.findall(without_blocks(str(page.relative_to(ROOT))))
            waiting += [
                (page.parent / path).resolve() for link in links if (path := link.partition("#")[0]).endswith(".md")
            ]
    assert set(PAGES) - seen <= {ROOT / "CHANGELOG.md"}


def test_every_test_that_is_named_exists() -> None:
    named = [match for page in PAGES for match in _TEST.findall(page.read_text())]
    assert len(named) > 10
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not name or name in functions, f"{file}::{name}"


def test_every_titled_example_is_run() -> None:
    """An example nobody names in a test is one nobody runs."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for page in PAGES:
        for title in re.findall(r"```\w+ title=\"([^\"]+)\"", page.read_text()):
            assert f'"{title}"' in tests, f"{page.name}: {title}"


def test_every_file_the_house_names_is_there() -> None:
    source = ROOT / "src/hubbub"
    named = set(re.findall(r"[\w/]+\.py", read("docs/explain/architecture.md"))) - {"tests/architecture/test_layers.py"}
    assert len(named) > 20
    assert not [name for name in named if not list(source.rglob(name))]


def test_every_room_has_a_row_that_names_its_modules() -> None:
    source = ROOT / "src/hubbub"
    row = re.compile(r"^\| `(\w+)/` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
    rows = {
        room: set(re.findall(r"`([\w/.]+)`", modules))
        for room, modules in row.findall(read("docs/explain/architecture.md"))
    }
    rooms = {path.parent.name: path.parent for path in source.glob("*/__init__.py")}
    assert rows.keys() == rooms.keys()
    for room, folder in rooms.items():
        files = {file.name for file in folder.glob("*.py")} - {"__init__.py"}
        folders = {f"{inner.parent.name}/" for inner in folder.glob("*/__init__.py")}
        assert rows[room] == files | folders, room
