"""`docs/explain/sizing.md`: what `hubbub size` says there is what it says.

    python -m tests.docs.test_sizing

puts what it says today into the page, after the costs were measured anew.
"""

import re
import shlex
import sys

import pytest
from typer.testing import CliRunner

from hubbub.cli.commands import app
from hubbub.sizing.measured import COMMAND, MEASURED
from tests.docs.pages import ROOT, plain, rows, sections

PAGE = ROOT / "docs/explain/sizing.md"
_SHOWN = re.compile(r"```console\n\$ hubbub (size .*?[^\\])\n(.*?)```", re.DOTALL)


def said(command: str) -> str:
    done = CliRunner().invoke(app, shlex.split(command.replace("\\\n", " ")), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_it_is_worked_through_for_ten_thousand_a_million_and_ten_million() -> None:
    shown = " ".join(command for command, _ in _SHOWN.findall(PAGE.read_text()))
    for users in ("--users 10000 ", "--users 1000000 ", "--users 10000000 "):
        assert users in shown + " "


@pytest.mark.parametrize("number", range(3))
def test_what_is_shown_is_what_is_said(number: int) -> None:
    command, output = _SHOWN.findall(PAGE.read_text())[number]
    assert said(command) == output


def test_every_constant_is_named_with_its_figure() -> None:
    told = {plain(row[0]): plain(row[1]) for row in rows(sections("docs/explain/sizing.md")["The constants"])}
    assert told == {name: f"{value:g}" for name, value in MEASURED.items()}
    assert COMMAND in PAGE.read_text()


def write() -> None:
    text = _SHOWN.sub(lambda shown: f"```console\n$ hubbub {shown[1]}\n{said(shown[1])}```", PAGE.read_text())
    table = "\n".join(f"| `{name}` | {value:g} |" for name, value in MEASURED.items())
    text = re.sub(r"(\| constant \| measured \|\n\|---\|--:\|\n)(\|.*\n)*", lambda head: f"{head[1]}{table}\n", text)
    PAGE.write_text(text)


if __name__ == "__main__":
    sys.exit(write())
