"""A real Chromium on the showcase's pages. Every page fails its test when its console says something is wrong, which is
also where a violated content security policy shows.

Playwright's sync API keeps an event loop running in this thread while it is open, and `asyncio.run` of other tests
would stumble over it: so a browser lives for one module.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.kit.running import Served
from tests.kit.waiting import tries, wait_for

#: A busy machine is slow, and nothing here waits longer than it must.
SOON = 20_000
#: What a page may say when its worker is killed or its server is away: the browser reports it, whatever we do.
GONE = re.compile(r"WebSocket connection to .* failed|net::ERR_(CONNECTION|SOCKET|EMPTY)")
MISSING = "no Chromium on this machine: the browser tests did not run (install chromium, or set HUBBUB_CHROMIUM)"


def _chromium() -> str | None:
    """Without the parts that draw where there is that: the same engine at a third of the work."""
    named = os.environ.get("HUBBUB_CHROMIUM")
    programs = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return named or next(filter(None, map(shutil.which, programs)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = _chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    # Chromium has no sandbox for root, which is what containers run as; it sees nothing but our own pages.
    with sync_playwright() as playwright:
        expect.set_options(timeout=SOON)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tabs:
    """Opens tabs, and remembers what their consoles said."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self.may_lose_its_server = False

    def profile(self, **options: object) -> BrowserContext:
        """A browser of its own: no cookie or storage shared with another."""
        context = self._browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(SOON)
        self._contexts.append(context)
        return context

    def open(self, profile: BrowserContext | None = None) -> Page:
        page = (profile or self.profile()).new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not (self.may_lose_its_server and GONE.search(message.text)):
            self.complaints.append(message.text)


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Tabs]:
    tabs = Tabs(browser)
    yield tabs
    tabs.close()
    assert tabs.complaints == []


@pytest.fixture
def enter(tabs: Tabs) -> Callable[..., Page]:
    """Opens a page that asks for a name, enters, and waits until it is online."""

    def enter(url: str, name: str, profile: BrowserContext | None = None) -> Page:
        page = tabs.open(profile)
        page.goto(url)
        page.get_by_test_id("login-name").fill(name)
        page.get_by_test_id("login-button").click()
        online(page)
        return page

    return enter


def online(page: Page) -> str:
    """Waits until the page is connected; the node it is connected to."""
    expect(page.get_by_test_id("status")).to_have_attribute("data-state", "online")
    return page.get_by_test_id("node").inner_text()


def onto_different_workers(*pages: Page) -> None:
    """Reloads until no two pages are on one worker. Which one takes a socket is the kernel's choice."""
    for _ in tries("the pages are on different workers", within=60):
        nodes = [online(page) for page in pages]
        again = next((page for at, page in enumerate(pages) if nodes[at] in nodes[:at]), None)
        if again is None:
            return
        again.reload()


def process_of(server: Served, node: str) -> int:
    """The worker's process, from /stats: a new one may not have been counted yet."""

    def found() -> int | None:
        workers = httpx.get(f"{server.url}/stats").json()["workers"]
        return next((worker["pid"] for worker in workers if worker["node"] == node), None)

    return wait_for(found, within=SOON / 1000, what=f"{node} in /stats") or 0


def until(page: Page, condition: Callable[[], bool], *, what: str) -> None:
    """Waits while Playwright's own loop runs, which hands out the events.

    Page.wait_for_function needs `eval`, which the pages' policy forbids.
    """
    for _ in tries(what, within=SOON / 1000):
        if condition():
            return
        page.wait_for_timeout(50)
