"""`docs/reference/settings.md` against the command itself."""

import re

import pytest
from typer.main import get_command

from hubbub.cli.commands import app
from hubbub.cli.doctor.finding import About
from hubbub.cli.settings import PREFIX, Settings
from tests.docs.pages import PAGES, ROOT, consoles, plain, rows, sections

PAGE = "docs/reference/settings.md"
COMMAND = get_command(app)
SECTIONS = {
    "serve": "hubbub serve [MODULE:APP]",
    "token": "hubbub token NAME",
    "publish": "hubbub publish ROOM JSON",
    "bench": "hubbub bench [WORKLOAD]",
    "tail": "hubbub tail ROOM",
    "top": "hubbub top",
    "doctor": "hubbub doctor [MODULE:APP]",
    "size": "hubbub size",
}


def flags(command: str) -> set[str]:
    """But for those that are there to be refused."""
    parameters = [each for each in COMMAND.commands[command].params if not getattr(each, "hidden", False)]  # type: ignore[attr-defined]
    return {flag for each in parameters for flag in (*each.opts, *each.secondary_opts) if flag.startswith("--")} - {
        "--help"
    }


def test_every_command_has_a_section() -> None:
    assert set(COMMAND.commands) == set(SECTIONS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", SECTIONS)
def test_every_flag_is_there_and_no_other(command: str) -> None:
    said = {flag for row in rows(sections(PAGE)[SECTIONS[command]]) for flag in re.findall(r"--[a-z-]+", row[0])}
    assert said == flags(command)


def test_every_variable_with_its_default() -> None:
    said = {plain(row[1]): plain(row[2]) for row in rows(sections(PAGE)[SECTIONS["serve"]]) if len(row) == 4 and row[1]}
    assert set(said) == {PREFIX + name.upper() for name in Settings.model_fields}
    for name in ("host", "port", "workers", "log_level", "grace"):
        assert said[PREFIX + name.upper()] == str(Settings.model_fields[name].default)
    assert said["HUBBUB_DEV"] == "off"


@pytest.mark.parametrize(("command", "flag"), [("token", "--expires"), ("publish", "--url")])
def test_the_defaults_of_the_other_flags(command: str, flag: str) -> None:
    [row] = [row for row in rows(sections(PAGE)[SECTIONS[command]]) if plain(row[0]) == flag]
    parameters = COMMAND.commands[command].params  # type: ignore[attr-defined]
    [default] = [each.default for each in parameters if flag in each.opts]
    assert plain(row[-2]) == default


def test_exit_codes() -> None:
    said = {int(row[0]) for row in rows(sections(PAGE)[SECTIONS["serve"]]) if len(row) == 2}
    assert said == {0, 1, 2, 3}  # each of them in tests/integration/cli


def test_every_finding_of_doctor() -> None:
    findings = [row for row in rows(sections(PAGE)[SECTIONS["doctor"]]) if len(row) == 2]
    said = [name for row in findings for name in re.findall("`([^`]+)`", row[0])]
    assert said == ["finding", *About] or said == [*About]


def test_every_command_that_is_shown_can_be_typed() -> None:
    shown = [command for page in PAGES for command in consoles(str(page.relative_to(ROOT)))]
    typed = re.compile(rf"\bhubbub ({'|'.join(SECTIONS)})\b(.*)")
    ours = [match for command in shown if (match := typed.search(command))]
    assert len(ours) > 5
    for match in ours:
        assert set(re.findall(r"(?<=\s)--[a-z-]+", match[2])) <= flags(match[1]), match[0]


def test_uvicorns_flags_are_uvicorns() -> None:
    from uvicorn.main import main

    [command] = [line for line in consoles("docs/howto/deploy.md") if line.startswith("uvicorn ")]
    known = {flag for each in main.params for flag in each.opts}
    asked = set(re.findall(r"--[a-z-]+", command))
    assert asked <= known
    assert {"--ws-max-size", "--ws-per-message-deflate", "--timeout-graceful-shutdown"} <= asked
