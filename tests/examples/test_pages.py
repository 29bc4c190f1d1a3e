"""All examples as their reader starts them, by one command, and their pages in a browser."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import psutil
import pytest
from examples.__main__ import EXAMPLES
from playwright.sync_api import Page, expect

from tests.docs.pages import ROOT
from tests.integration.browser.conftest import Tabs, browser, tabs
from tests.kit.complaints import COMPLAINTS
from tests.kit.running import START, STOP, alive, clean_environment
from tests.kit.waiting import wait_for

__all__ = ["browser", "tabs"]  # fixtures


def free_ports(several: int) -> int:
    """The first of so many in a row, below those that the system, and `free_port`, give out."""
    while True:
        first = random.randrange(10_000, 19_900)
        try:
            for port in range(first, first + several):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """Of each example: before, after. On one worker, where what was before works as well."""
    log = tmp_path_factory.mktemp("examples") / "output"
    command = [sys.executable, "-m", "examples", "--port", str(free_ports(2 * len(EXAMPLES))), "--workers", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=clean_environment())
    source = COMPLAINTS.watch("examples", log.read_text)
    children: list[psutil.Process] = []
    try:
        wait_for(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, what="they listen", within=START)
        assert process.poll() is None, log.read_text()
        children = psutil.Process(process.pid).children(recursive=True)
        found = re.findall(r"^(\w+) +before (\S+) +after (\S+)$", log.read_text(), re.MULTILINE)
        assert tuple(name for name, *_ in found) == EXAMPLES
        yield {name: (before, after) for name, before, after in found}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP) == 0, log.read_text()
        COMPLAINTS.ended(source)
    assert len(children) >= 1 + 2 * len(EXAMPLES)
    assert not [child for child in children if alive(child.pid)]


def say(page: Page, text: str, *, label: str = "Say something") -> None:
    page.get_by_label(label).fill(text)
    page.get_by_label(label).press("Enter")


def lines(page: Page) -> list[str]:
    return page.locator("#lines li").all_inner_texts()


def shows(page: Page, line: str) -> None:
    expect(page.locator("#lines li", has_text=re.compile(f"^{re.escape(line)}$")).last).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("side", [0, 1], ids=["before", "after"])
def test_client_id(tabs: Tabs, urls: dict[str, tuple[str, str]], side: int) -> None:
    ann, bob = tabs.open(), tabs.open()
    for page in (ann, bob):
        page.goto(urls["client_id"][side])
        page.wait_for_function("socket.readyState === WebSocket.OPEN")
    me = bob.locator("#me").inner_text()
    say(bob, "hello <b>you</b>")
    shows(bob, "You: hello <b>you</b>")
    for page in (ann, bob):
        shows(page, f"Client {me}: hello <b>you</b>")
    bob.close()
    shows(ann, f"Client {me} is gone")


@pytest.mark.browser
@pytest.mark.parametrize("side", [0, 1], ids=["before", "after"])
def test_notifications(tabs: Tabs, urls: dict[str, tuple[str, str]], side: int) -> None:
    url = urls["notifications"][side]
    with httpx.Client(trust_env=False) as http:
        assert http.post(f"{url}/reports/alice").json() == {"online": False}
    first, second = tabs.open(), tabs.open()
    for page in (first, second):
        page.goto(url)
        say(page, "alice", label="Your name")
        expect(page.locator("#state")).to_have_text("listening")
    first.get_by_role("button").click()
    missed = ["Report 7 is ready"] if side else []
    for page in (first, second):
        expect(page.locator("#lines li")).to_have_text([*missed, "Report 7 is ready"])


@pytest.mark.browser
@pytest.mark.parametrize("side", [0, 1], ids=["before", "after"])
def test_redis_pubsub(tabs: Tabs, urls: dict[str, tuple[str, str]], side: int) -> None:
    ann, bob = tabs.open(), tabs.open()
    for page, name in ((ann, "ann"), (bob, "bob")):
        page.goto(urls["redis_pubsub"][side])
        say(page, name, label="Your name")
        shows(page, f"here: {', '.join(sorted({'ann', name}))}" if side else f"{name} came")
    say(ann, "hello")
    for page in (ann, bob):
        shows(page, "ann: hello")
    bob.get_by_role("button").click()
    shows(ann, "bob went")
    say(ann, "while bob is away")
    expect(ann.locator("#lines li", has_text="bob came")).to_have_count(2)
    say(ann, "bob is back")
    shows(bob, "ann: bob is back")
    assert ("ann: while bob is away" in lines(bob)) is bool(side)


def test_what_is_taken_or_unknown_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, word in ((["client_id", "--port", f"{port}"], f"port {port}"), (["chat"], "client_id")):
            ran = subprocess.run(
                [sys.executable, "-m", "examples", *arguments],
                cwd=ROOT,
                check=False,
                capture_output=True,
                text=True,
                timeout=START,
                env=os.environ,
            )
            assert ran.returncode != 0
            assert word in ran.stderr
            assert "Traceback" not in ran.stderr
