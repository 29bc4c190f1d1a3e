import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, read, sections, without_blocks

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")

SOURCE = ROOT / "src/hubbub"
HOUSE = read("docs/explain/architecture.md")
#: Of each room: its modules, and the rooms it knows.
ROWS = {
    room: (modules, known)
    for room, modules, known in re.findall(r"^\| `(\w+)/` \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", HOUSE, re.MULTILINE)
}


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


def test_every_howto_stands_in_the_readmes_list() -> None:
    """Reachable by way of another page is not found by who looks for it."""
    listed = {link.partition("#")[0] for link in _LINK.findall(sections("README.md")["Learn more"])}
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs/howto").glob("*.md")}
    assert len(pages) > 10
    assert pages - listed == set()


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
    named = set(re.findall(r"[\w/]+\.py", HOUSE)) - {"tests/architecture/test_layers.py"}
    assert len(named) > 20
    assert not [name for name in named if not list(SOURCE.rglob(name))]


def test_every_room_has_a_row_that_names_its_modules() -> None:
    rooms = {path.parent.name: path.parent for path in SOURCE.glob("*/__init__.py")}
    rows = {room: set(re.findall(r"`([\w/.]+)`", modules)) for room, (modules, _) in ROWS.items()}
    assert rows.keys() == rooms.keys()
    for room, folder in rooms.items():
        files = {file.name for file in folder.glob("*.py")} - {"__init__.py"}
        folders = {f"{inner.parent.name}/" for inner in folder.glob("*/__init__.py")}
        assert rows[room] == files | folders, room


def test_every_room_says_which_others_it_knows() -> None:
    for room, (_, known) in ROWS.items():
        said = set(known.split(", ")) - {"the ground alone"}
        files = (SOURCE / room).rglob("*.py")
        names = {name for file in files for name in _imported(file)} - {room, "types", "errors", "closes", "options"}
        assert said == names, room


def test_every_room_says_in_itself_whom_it_knows() -> None:
    for room, (_, known) in ROWS.items():
        docstring = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text())) or ""
        [said] = re.findall(r"\bKnows ([^.:;]+?)(?:, and no \w+)?[.:;]", " ".join(docstring.split()))
        others = " and the ground" if known != "the ground alone" else ""
        assert re.sub(r"( and the ground), and .*", r"\1", said) == known + others, room


def test_every_logger_has_a_row_that_says_where_it_speaks() -> None:
    row = re.compile(r"^\| `(hubbub[\w.]*)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
    said = {(name, file) for name, where in row.findall(HOUSE) for file in re.findall(r"`([\w/.]+)`", where)}
    named = re.compile(r"^\w+ = logging\.getLogger\(\"(hubbub[\w.]*)\"\)$", re.MULTILINE)
    assert said == {
        (name, file.relative_to(SOURCE).as_posix())
        for file in SOURCE.rglob("*.py")
        for name in named.findall(file.read_text())
    }


def _imported(file: Path) -> Iterator[str]:
    """The rooms whose modules this one imports; `the face` for what the package itself exports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "hubbub":
            paths = [f"hubbub.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            paths = [node.module or ""]
        else:
            continue
        for path in paths:
            package, _, rest = path.partition(".")
            room = rest.partition(".")[0]
            if package == "hubbub":
                inside = (SOURCE / room).is_dir() or (SOURCE / f"{room}.py").is_file()
                yield room if room and inside else "the face"
