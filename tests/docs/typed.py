"""Every Python example of the pages and of public docstrings, under mypy and pyright, both strict, in one run each.

A titled example is a module, and may import the others of its page; `main` is the README's where a page has none. What
has no title is a fragment, and may be of two kinds: it stands for itself, or it needs what its page has told before.
That is said in a comment in front of it, which nobody sees who reads the page:

    <!-- given
    from hubbub import Hub
    hub = Hub()
    -->

A fragment that awaits is within a function, and may have what it does not use. `python -m tests.docs.typed` does what
the test does.
"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tests.docs.pages import PAGES, ROOT

_BLOCK = re.compile(
    r"(?:^ *<!-- given\n(?P<given>.*?)^ *-->\n+)?^(?P<indent> *)```python(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)

#: Where examples in docstrings are an application's to read.
MODULES = (
    "hubbub",
    "hubbub.client.publisher",
    "hubbub.testing.client",
    "hubbub.testing.clock",
    "hubbub.testing.network",
    "hubbub.testing.node",
    "hubbub.testing.tab",
)

#: What hubbub says is public, see docs/reference/api.md.
_PUBLIC = re.compile(r"hubbub\.(\w+|closes\..+|client\.publisher\..+|integrations\..+|ports\..+|testing\..+)$")
_PYRIGHT = Path(sys.executable).with_name("basedpyright")

#: What docstrings speak of without saying what it is.
_GIVEN = """\
from fastapi import FastAPI
from hubbub import Hub, JWTAuth
from hubbub.client.publisher import Publisher
from hubbub.testing import Client, ManualClock, Network, Node, Tab
from hubbub.testing.broker import NetworkBroker
hub = Hub()
app = FastAPI()
network = Network()
token = ""
def create_app(broker: NetworkBroker) -> Hub:
    return Hub(broker=broker, clock=network.clock)
"""


def write(folder: Path) -> dict[Path, str]:
    """All of them as modules of one folder: where each is from."""
    written: dict[Path, str] = {}
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        # What names a file of the repository is cut out of it, and the whole of it is among the examples below.
        found = [each for each in map(re.Match.groupdict, _BLOCK.finditer(page.read_text())) if not _is_cut_out(each)]
        for each in found:
            each["code"] = textwrap.dedent(each["code"])
            if not each["title"] and (said := re.match(r"# (\w+\.py)\n", each["code"])):
                each["title"] = said[1]
        titles = {Path(each["title"]).stem for each in found if each["title"]}
        for number, each in enumerate(found, 1):
            stem = Path(each["title"]).stem if each["title"] else f"fragment_{number}"
            path = folder / f"{_slug(name)}__{stem}.py"
            assert path not in written, f"{name} has two examples with the title {each['title']}"
            code = each["code"] if each["title"] else fragment(each["given"] or "", each["code"])
            path.write_text(_imports(name, titles, code))
            written[path] = f"{name}: {each['title'] or f'its example number {number}'}"
    for module in MODULES:
        for number, code in enumerate(_in_docstrings(module), 1):
            path = folder / f"{_slug(module)}__docstring_{number}.py"
            path.write_text(fragment(_GIVEN, code))
            written[path] = f"{module}: the example number {number} in its docstrings"
    for file in sorted(ROOT.glob("examples/*/*.py")):
        name = str(file.relative_to(ROOT))
        path = folder / f"{_slug(name.removesuffix('.py'))}.py"
        path.write_text(file.read_text())
        written[path] = name
    surface = folder / "surface.py"
    surface.write_text(_surface())
    written[surface] = "what is public"
    return written


def mypy(folder: Path, root: Path = ROOT) -> str:
    """What it says against them, nothing where all is well. By the settings and with the cache of `make check`."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, sorted(folder.glob("*.py")))]
    return _said(command, root)


def pyright(folder: Path) -> str:
    """As `mypy`."""
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "include": ["."],
        "reportMissingTypeStubs": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [str(_PYRIGHT), "--pythonpath", sys.executable, "-p", str(folder)]
    said = _said(command, folder)
    return "" if said.startswith("0 errors, 0 warnings") else said


def unknown() -> list[str]:
    """What is public and has, or takes or returns, a type that some checker may not know, as pyright judges it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyrightconfig.json").write_text("{}")
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        done = subprocess.run(
            [str(_PYRIGHT), "-p", folder, "--outputjson", "--ignoreexternal", "--verifytypes", "hubbub"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), packages))},
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public = [each for each in symbols if _PUBLIC.match(each["name"])]
    assert len(public) > 200, done.stdout[:1000]
    return [each["name"] for each in public if not each["isTypeKnown"]]


def _is_cut_out(block: dict[str, str | None]) -> bool:
    return (block["title"] or "").startswith("examples/")


def _said(command: list[str], where: Path) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=170)
    return done.stdout + done.stderr


def _slug(name: str) -> str:
    return re.sub(r"\W", "_", name.removesuffix(".md").removeprefix("docs/"))


def _imports(page: str, titles: set[str], code: str) -> str:
    """As modules of one folder they have other names; the lines stay."""
    names = {title: f"{_slug(page)}__{title}" for title in titles}
    names.setdefault("main", "README__main")
    return re.sub(
        r"^( *)(from|import) (\w+)\b",
        lambda found: f"{found[1]}{found[2]} {names.get(found[3], found[3])}",
        code,
        flags=re.MULTILINE,
    )


def fragment(given: str, code: str) -> str:
    """What is given, and then the code."""
    if _awaits(code):
        code = "async def fragment() -> None:\n" + textwrap.indent(code, "    ")
    return "# pyright: reportUnusedImport=false, reportUnusedVariable=false\n" + textwrap.dedent(given) + code


def _awaits(code: str) -> bool:
    try:
        compile(code, "", "exec", dont_inherit=True)
    except SyntaxError:
        return True
    return False


def _in_docstrings(module: str) -> Iterator[str]:
    """What is indented in the docstring of a module, its classes and functions, and is Python."""
    source = importlib.import_module(module).__file__
    assert source is not None
    for node in ast.walk(ast.parse(Path(source).read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for block in re.findall(r"(?:^    .*\n|^\n)+", f"{ast.get_docstring(node) or ''}\n", re.MULTILINE):
                code = textwrap.dedent(block).strip("\n")
                if re.search(r"^(async with|with|await|hub|app|\w+ = )\b", code, re.MULTILINE):
                    yield code + ("\n    ..." if code.rstrip().endswith(":") else "") + "\n"


def _surface() -> str:
    """Everything public once, so that a type that is not known is found though no example needs it."""
    lines: list[str] = []
    for name in ("hubbub", "hubbub.testing", "hubbub.closes", "hubbub.client.publisher"):
        module = importlib.import_module(name)
        lines.append(f"import {name}")
        for public in getattr(module, "__all__", None) or _defined(module):
            found = getattr(module, public)
            if isinstance(found, TypeVar) or getattr(found, "__parameters__", ()):
                continue
            members = [each for each in vars(found) if not each.startswith("_")] if isinstance(found, type) else []
            lines.append(f"{_slug(name)}_{public} = {name}.{public}")
            if members:
                lines.append(f"def of_{_slug(name)}_{public}(it: {name}.{public}) -> object:")
                lines.append(f"    return ({', '.join(f'it.{each}' for each in members)},)")
    return "\n".join(lines) + "\n"


def _defined(module: object) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == getattr(module, "__name__", "")
    ]


def named(said: str, written: dict[Path, str]) -> str:
    """What a checker says, of pages instead of files; what mypy says from its cache has the folder of another run."""
    names = {path.name: name for path, name in written.items()}
    return re.sub(r"(?:\S*/)?(\w+\.py)\b", lambda found: names.get(found[1], found[0]), said)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder))
        said = mypy(Path(folder)) + pyright(Path(folder))
    said += "".join(f"{name} has a type that is not known to all\n" for name in unknown())
    print(named(said, written) or f"{len(written)} examples are typed")  # noqa: T201 - a command
    return bool(said)


if __name__ == "__main__":
    sys.exit(main())
