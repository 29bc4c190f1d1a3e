import subprocess
import sys
from pathlib import Path

import pytest

from hubbub import __version__
from hubbub.cli.announce import start_line, what_development_allows
from hubbub.cli.settings import Settings
from tests.integration.cli.conftest import Command


def test_version(hubbub: Command) -> None:
    assert hubbub("--version").stdout == f"hubbub {__version__}\n"


def test_as_a_module_it_is_the_same_command(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "hubbub", "serve", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("Usage: hubbub serve ")


@pytest.mark.parametrize(
    ("settings", "valkey", "line"),
    [
        ({}, None, "http://127.0.0.1:80 (1 worker, memory)"),
        ({"workers": 3}, 12, "http://127.0.0.1:80 (3 workers, embedded Valkey, process 12)"),
        ({"host": "::1"}, None, "http://[::1]:80 (1 worker, memory)"),
        ({"broker": "redis://me:hush@h:6379/0?password=hush"}, None, "http://127.0.0.1:80 (1 worker, redis://h:6379)"),
        ({"broker": "unix:///run/valkey?password=hush"}, None, "http://127.0.0.1:80 (1 worker, unix)"),
    ],
)
def test_the_start_line_has_the_address_and_no_password(
    settings: dict[str, object], valkey: int | None, line: str
) -> None:
    said = start_line(None, Settings.model_validate({**Settings().model_dump(), **settings}), 80, valkey)
    assert said == f"Hubbub serves the showcase at {line}"


def test_development_on_an_open_address_is_told() -> None:
    private = what_development_allows(Settings(dev=True), showcase=True, generated=False)
    assert all(part in private for part in ("/ws/chat/{name}", "/login", "publishing needs no key"))
    assert "everybody" not in private
    assert "secret" not in private.lower()
    public = what_development_allows(Settings(dev=True, host="0.0.0.0"), showcase=True, generated=True)
    assert "everybody who reaches 0.0.0.0" in public
    assert "HUBBUB_SECRET was not set" in public
