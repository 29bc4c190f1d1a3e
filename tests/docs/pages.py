"""Reads the Markdown pages: their examples, tables, headings and links."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_BLOCK = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ROW = re.compile(r"(?<!\\)\|")


def read(page: str) -> str:
    return (ROOT / page).read_text()


def titled(page: str) -> list[tuple[str, str]]:
    """Title and code of each titled block, in their order."""
    return [
        (title, "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True)))
        for indent, _, title, code in _BLOCK.findall(read(page))
        if title
    ]


def examples(page: str) -> dict[str, str]:
    """The titled blocks of a page, by title; for the README the one that begins with `# main.py`."""
    found = dict(titled(page))
    if page == "README.md":
        [found["main.py"]] = [code for code in blocks(page, "python") if code.startswith("# main.py\n")]
    return found


def blocks(page: str, language: str) -> list[str]:
    """The untitled blocks of a page in this language."""
    return [code for _, is_in, title, code in _BLOCK.findall(read(page)) if is_in == language and not title]


def consoles(page: str) -> list[str]:
    """What is typed after `$ ` in the console blocks, each command in one line."""
    commands: list[str] = []
    for _, language, _, code in _BLOCK.findall(read(page)):
        if language == "console":
            joined = code.replace("\\\n", " ")
            commands += [line.strip()[2:] for line in joined.splitlines() if line.strip().startswith("$ ")]
    return commands


def sections(page: str) -> dict[str, str]:
    """The text under each heading, up to the next heading of any level, by the heading without back-ticks."""
    parts = _HEADING.split(without_blocks(page))
    return {title.replace("`", ""): text for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in it, headers and rules left out."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        rule = set(line) <= set("|- :") and "|" in line
        header = at + 1 < len(lines) and set(lines[at + 1]) <= set("|- :") and "|" in lines[at + 1]
        if line.startswith("|") and not rule and not header:
            yield [cell.strip().replace("\\|", "|") for cell in _ROW.split(line)[1:-1]]


def plain(cell: str) -> str:
    return cell.replace("`", "")


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, punctuation gone."""
    titles = _HEADING.findall(_BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def without_blocks(page: str) -> str:
    return _BLOCK.sub("", read(page))


@contextmanager
def module(page: str, title: str, folder: Path) -> Iterator[ModuleType]:
    """An example, written to a file as a reader would and imported from there."""
    path = folder / title
    path.write_text(examples(page)[title])
    name = f"example_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # Pydantic looks its models' modules up
    try:
        spec.loader.exec_module(made)
        yield made
    finally:
        del sys.modules[name]
