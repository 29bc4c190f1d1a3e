"""The admin page in a real browser, on three workers: who is let in, what comes live, and what an operator does."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from websockets.sync.client import ClientConnection, connect

from hubbub import JWTAuth
from tests.integration.browser.conftest import Tabs
from tests.kit.running import Served
from tests.kit.waiting import wait_for

pytestmark = pytest.mark.browser

KEY = "k" * 40
SECRET = "s" * 32
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    env: dict[str, str | None] = {"HUBBUB_SECRET": SECRET, "HUBBUB_ADMIN_KEY": KEY}
    with Served("--workers", "3", env=env) as server:
        yield server


@pytest.fixture
def page(server: Served, tabs: Tabs) -> Page:
    """Logged in."""
    page = tabs.open()
    log_in(page, server)
    return page


def log_in(page: Page, server: Served) -> None:
    page.goto(f"{server.url}/admin/")
    page.get_by_label("Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.locator("#state")).to_have_text("Live")


@contextmanager
def come(server: Served, user: str, room: str) -> Iterator[ClientConnection]:
    token = JWTAuth(SECRET).sign(user)
    protocols: list[Any] = ["hubbub.v1", f"hubbub.bearer.{token}"]
    with connect(f"{server.ws}/ws", subprotocols=protocols) as socket:
        socket.send(json.dumps({"type": "join_room", "room": room, "id": 1}))
        heard(socket, "room_joined")
        yield socket


def heard(socket: ClientConnection, type: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=20))
        if message["type"] == type:
            return message


def test_who_has_not_the_key_sees_a_form_and_is_told(server: Served, tabs: Tabs) -> None:
    page = tabs.open()
    page.goto(f"{server.url}/admin/")
    tabs.complaints.clear()
    page.get_by_label("Key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The key is wrong.")
    assert [each for each in tabs.complaints if "401" not in each] == []
    tabs.complaints.clear()
    page.get_by_label("Key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key")).to_be_focused()


def test_numbers_come_live_and_charts_say_in_words_what_they_show(server: Served, page: Page) -> None:
    connections = page.locator(".numbers div", has_text="Connections").locator("dd")
    expect(connections).to_have_text("0")
    expect(page.get_by_role("table", name="What each worker does now").locator("tbody tr")).to_have_count(3)
    with come(server, "ann", "lobby"):
        expect(connections).to_have_text("1")
    expect(connections).to_have_text("0")
    chart = page.get_by_role("img", name="Connections: now 0")
    expect(chart).to_be_visible()
    chart.focus()
    page.keyboard.press("Home")
    expect(chart.locator("xpath=..").locator(".read-out")).to_contain_text(":")


def test_a_room_a_user_and_what_was_said_are_text_whatever_they_are_called(server: Served, page: Page) -> None:
    with come(server, NAME, NAME) as socket:
        page.get_by_role("link", name="Publish").click()
        page.get_by_label("Its name").fill(NAME)
        page.get_by_label("Message").fill('{"type": "said", "text": ')
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("alert")).to_contain_text("Not JSON")
        page.get_by_label("Message").fill(json.dumps({"type": "said", "text": NAME}))
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("status").filter(has_text="Published")).to_contain_text("kept at offset 1")
        assert heard(socket, "said")["text"] == NAME
        page.get_by_role("link", name="Rooms").click()
        page.get_by_role("link", name=NAME).click()
        expect(page.get_by_role("heading", name=NAME, exact=True)).to_be_visible()
        expect(page.locator("pre")).to_contain_text(NAME)
        assert page.locator("main img").count() == 0
        page.go_back()
        expect(page.get_by_role("heading", name="Rooms", exact=True)).to_be_visible()


def test_a_user_is_sent_away_by_keyboard_alone(server: Served, page: Page) -> None:
    with come(server, "eve", "lobby") as socket:
        page.goto(f"{server.url}/admin/#/users/eve")
        button = page.get_by_role("button", name="Disconnect all of eve")
        expect(button).to_be_visible()
        for wanted in ("no", "yes"):
            button.focus()
            page.keyboard.press("Enter")
            expect(page.get_by_role("dialog")).to_be_visible()
            if wanted == "no":
                page.keyboard.press("Escape")
                expect(page.get_by_role("dialog")).to_be_hidden()
                expect(button).to_be_focused()
            else:
                page.keyboard.press("Tab")
                page.keyboard.press("Enter")
        expect(page.get_by_text("1 connections were closed.")).to_be_visible()
        wait_for(lambda: socket.protocol.close_code == 4003 or _read(socket), what="it was closed")
        assert socket.protocol.close_code == 4003


def _read(socket: ClientConnection) -> bool:
    try:
        socket.recv(timeout=0.1)
    except TimeoutError:
        return False
    except Exception:  # noqa: BLE001 - it is closed, as is asked next
        return socket.protocol.close_code == 4003
    return False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_it_and_everything_can_be_read(
    server: Served, tabs: Tabs, scheme: str
) -> None:
    page = tabs.open(tabs.profile(viewport={"width": 360, "height": 740}, color_scheme=scheme))
    log_in(page, server)
    with come(server, "u" * 100, "r" * 100):
        for view in ("", "rooms", "rooms/" + "r" * 100, "users/" + "u" * 100, "slow", "publish"):
            page.goto(f"{server.url}/admin/#/{view}")
            expect(page.locator("main h1")).to_be_visible()
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
            assert page.evaluate(POOR) == [], view
            assert page.evaluate(NAMELESS) == [], view


def test_a_server_that_goes_and_comes_back_is_said_in_words(tabs: Tabs, tmp_path: Path) -> None:
    env: dict[str, str | None] = {"HUBBUB_SECRET": SECRET, "HUBBUB_ADMIN_KEY": KEY}
    page = tabs.open()
    tabs.may_lose_its_server = True
    with Served("--workers", "1", env=env) as server:
        log_in(page, server)
        port = server.url.rpartition(":")[2]
    expect(page.locator("#state")).to_have_text("The server does not answer.")
    with Served("--workers", "1", "--port", port, env=env):
        # The cookie is known to every worker that has the key.
        expect(page.locator("#state")).to_have_text("Live", timeout=60_000)


def test_a_line_that_is_dead_is_not_called_live(server: Served, tabs: Tabs) -> None:
    """As after a sleep, or where a net went away: it does not end by itself."""
    page = tabs.open()
    page.clock.install()
    muted: list[bool] = []

    def between(socket: WebSocketRoute) -> None:
        there = socket.connect_to_server()
        there.on_message(lambda message: None if muted else socket.send(message))

    page.route_web_socket(re.compile("/api/live$"), between)
    log_in(page, server)
    muted.append(True)
    page.clock.fast_forward(11_000)
    expect(page.locator("#state")).to_have_text(re.compile("Asking every few seconds|Live updates do not get through"))
    muted.clear()
    expect(page.locator("#state")).to_have_text("Live")


def test_lists_say_that_there_are_more_and_who_has_not_answered(server: Served, page: Page) -> None:
    one = {"connection": "c", "node": "n", "user": "bob", "rooms": [], "rooms_total": 0, "outbox_bytes": 1}
    found = {"connections": [one], "more": True, "silent": ["n2"], "failed": [], "online": True}
    for where in ("**/api/users/bob", "**/api/connections?*"):
        page.route(where, lambda route: route.fulfill(json=found))
    closed = {"connections": 0, "silent": ["n2"], "failed": []}
    page.route("**/api/connections/c/disconnect", lambda route: route.fulfill(json=closed))
    page.goto(f"{server.url}/admin/#/slow")
    expect(page.get_by_text("These are the 50 for which most waits; there are more.")).to_be_visible()
    page.goto(f"{server.url}/admin/#/users/bob")
    expect(page.get_by_text("These are the first 100; there are more.")).to_be_visible()
    page.get_by_role("button", name="Disconnect c").click()
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.get_by_text("0 connections were closed; no answer from n2.")).to_be_visible()


def test_where_the_application_lets_operators_in_no_key_is_asked_for(server: Served, tabs: Tabs) -> None:
    page = tabs.open()
    page.route("**/admin/session", lambda route: route.fulfill(json={"login": False, "in": False}))
    page.route_web_socket(re.compile("/api/live$"), lambda socket: socket.close())
    page.goto(f"{server.url}/admin/")
    expect(page.get_by_role("alert")).to_have_text("Your session has ended: log in again.")
    expect(page.get_by_label("Key")).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    tabs.complaints.clear()  # the browser's of 401


def test_a_link_that_was_typed_wrong_shows_a_page(server: Served, page: Page, tabs: Tabs) -> None:
    page.goto(f"{server.url}/admin/#/users/100%")
    expect(page.get_by_role("heading", name="100%")).to_be_visible()


#: Texts with less than 4.5:1 of contrast to what is behind them.
POOR = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = parse(getComputedStyle(each).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, .skip, dialog:not([open]), noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
#: Controls without a name, and ids that are there twice.
NAMELESS = """() => {
  const found = [];
  for (const each of document.querySelectorAll("input, select, textarea")) if (!each.labels.length) found.push(each.id);
  for (const each of document.querySelectorAll("button, a[href]")) {
    if (!each.textContent.trim() && !each.getAttribute("aria-label")) found.push(each.outerHTML.slice(0, 80));
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  return [...found, ...ids.filter((id, at) => ids.indexOf(id) !== at)];
}"""
