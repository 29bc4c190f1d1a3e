import os
import re
import signal
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.browser.conftest import Tabs, online, onto_different_workers, process_of
from tests.kit.running import Served

pytestmark = pytest.mark.browser


@pytest.fixture
def room() -> str:
    """A room of this test's own: the server is shared."""
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def name() -> Callable[[str], str]:
    ending = uuid.uuid4().hex[:6]
    return lambda start: f"{start}-{ending}"


def join(page: Page, room: str) -> None:
    page.get_by_test_id("room-input").fill(room)
    page.get_by_test_id("join-button").click()
    expect(page.get_by_test_id("talk-title")).to_have_text(room)


def say(page: Page, content: str) -> None:
    page.get_by_test_id("composer").fill(content)
    page.get_by_test_id("composer").press("Enter")


def member(page: Page, user: str) -> Locator:
    return page.get_by_test_id("members").locator(f'[data-user="{user}"]')


def said(page: Page, content: str) -> Locator:
    return page.get_by_test_id("message").filter(has_text=content)


def test_two_users_on_different_workers_talk_and_see_each_other_come_and_go(
    showcase: Served, enter: Callable[..., Page], room: str, name: Callable[[str], str]
) -> None:
    alice, bob = name("alice"), name("bob")
    hers, his = (enter(f"{showcase.url}/chat", user) for user in (alice, bob))
    onto_different_workers(hers, his)

    join(hers, room)
    expect(member(hers, alice)).to_be_visible()
    join(his, room)
    for page in (hers, his):
        for user in (alice, bob):
            expect(member(page, user)).to_be_visible()
    expect(hers.get_by_test_id("notice").filter(has_text=f"{bob} came in")).to_be_visible()

    say(hers, "is anyone here?")
    say(his, "I am")
    for page in (hers, his):
        expect(said(page, "is anyone here?")).to_have_attribute("data-from", alice)
        expect(said(page, "I am")).to_have_attribute("data-from", bob)

    his.close()
    expect(member(hers, bob)).to_have_count(0)
    expect(hers.get_by_test_id("notice").filter(has_text=f"{bob} left")).to_be_visible()
    expect(hers.get_by_test_id("online").locator(f'[data-user="{bob}"]')).to_have_count(0)


def test_a_direct_message_reaches_all_tabs_of_one_user_and_nobody_else(
    showcase: Served, enter: Callable[..., Page], name: Callable[[str], str]
) -> None:
    alice, bob, carol = name("alice"), name("bob"), name("carol")
    hers = enter(f"{showcase.url}/chat", alice)
    his, his_other = (enter(f"{showcase.url}/chat", bob) for _ in range(2))
    carols = enter(f"{showcase.url}/chat", carol)
    onto_different_workers(hers, his, his_other)

    hers.get_by_test_id("dm-input").fill(bob)
    hers.get_by_test_id("dm-button").click()
    say(hers, "just between us")
    expect(said(hers, "just between us")).to_have_count(1)
    expect(hers.get_by_test_id("remark")).to_have_count(0)
    for page in (his, his_other):
        entry = page.get_by_test_id("direct-entry").filter(has_text=alice)
        expect(entry.get_by_test_id("unread")).to_contain_text("1")
        entry.get_by_role("button").click()
        expect(said(page, "just between us")).to_have_attribute("data-from", alice)
        expect(entry.get_by_test_id("unread")).to_have_count(0)

    # Sent after the direct message, and so a sign that it would be here by now.
    hers.get_by_test_id("everyone-entry").get_by_role("button").click()
    say(hers, "to all")
    carols.get_by_test_id("everyone-entry").get_by_role("button").click()
    expect(said(carols, "to all")).to_be_visible()
    expect(carols.get_by_test_id("direct-entry")).to_have_count(0)


def test_a_direct_message_to_nobody_says_so(
    showcase: Served, enter: Callable[..., Page], name: Callable[[str], str]
) -> None:
    hers = enter(f"{showcase.url}/chat", name("alice"))
    hers.get_by_test_id("dm-input").fill(name("nobody"))
    hers.get_by_test_id("dm-button").click()
    say(hers, "hello?")
    expect(said(hers, "hello?").get_by_test_id("remark")).to_contain_text("not online")


def test_what_people_write_is_text_and_never_markup(
    showcase: Served, enter: Callable[..., Page], room: str, name: Callable[[str], str]
) -> None:
    page = enter(f"{showcase.url}/chat", name("<b>mallory</b>"))
    join(page, room)
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    say(page, markup)
    expect(page.get_by_test_id("content")).to_have_text(markup)
    assert page.locator("#messages img, #messages b").count() == 0


def test_a_room_can_be_left_and_what_was_said_meanwhile_comes_with_the_next_join(
    showcase: Served, enter: Callable[..., Page], room: str, name: Callable[[str], str]
) -> None:
    alice, bob = name("alice"), name("bob")
    hers, his = (enter(f"{showcase.url}/chat", user) for user in (alice, bob))
    join(hers, room)
    join(his, room)
    expect(member(his, alice)).to_be_visible()
    hers.get_by_test_id("leave-button").click()
    expect(member(his, alice)).to_have_count(0)
    expect(hers.locator(f'[data-testid=room-entry][data-name="{room}"]')).to_have_count(0)
    say(his, "she is gone")
    expect(said(his, "she is gone")).to_be_visible()
    # Sent to her and to all, and so a sign that a message of the room would be here by now.
    his.get_by_test_id("everyone-entry").get_by_role("button").click()
    say(his, "to all")
    hers.get_by_test_id("everyone-entry").get_by_role("button").click()
    expect(said(hers, "to all")).to_be_visible()
    expect(said(hers, "she is gone")).to_have_count(0)
    join(hers, room)
    expect(member(hers, bob)).to_be_visible()
    expect(hers.get_by_test_id("content")).to_have_text(["she is gone"])


def test_a_room_shows_what_was_said_before_and_a_direct_message_waits(
    showcase: Served, enter: Callable[..., Page], room: str, name: Callable[[str], str]
) -> None:
    alice, bob = name("alice"), name("bob")
    hers = enter(f"{showcase.url}/chat", alice)
    join(hers, room)
    say(hers, "one")
    say(hers, "two")
    expect(hers.get_by_test_id("content")).to_have_text(["one", "two"])
    hers.get_by_test_id("dm-input").fill(bob)
    hers.get_by_test_id("dm-button").click()
    say(hers, "for later")
    expect(said(hers, "for later").get_by_test_id("remark")).to_contain_text("not online")

    his = enter(f"{showcase.url}/chat", bob)
    join(his, room)
    expect(his.get_by_test_id("content")).to_have_text(["one", "two"])
    his.get_by_test_id("direct-entry").filter(has_text=alice).get_by_role("button").click()
    expect(said(his, "for later")).to_have_attribute("data-from", alice)
    # And it is there after a reload, as the rooms are.
    his.reload()
    online(his)
    his.locator(f'[data-testid=room-entry][data-name="{room}"] button').click()
    expect(his.get_by_test_id("content")).to_have_text(["one", "two"])
    expect(his.get_by_test_id("notice")).to_have_count(0)


def test_a_name_the_server_refuses_is_explained(
    showcase: Served, enter: Callable[..., Page], name: Callable[[str], str]
) -> None:
    page = enter(f"{showcase.url}/chat", name("alice"))
    page.get_by_test_id("room-input").fill("ä" * 64 + "x")  # the field takes 64 characters; they are 128 bytes
    page.get_by_test_id("join-button").click()
    expect(page.get_by_test_id("talk-title")).to_have_text("ä" * 64)
    page.get_by_test_id("room-input").fill("€" * 64)
    page.get_by_test_id("join-button").click()
    expect(page.get_by_test_id("chat-problem")).to_contain_text("128 bytes")


def test_everything_can_be_done_with_the_keyboard_on_a_phone(
    showcase: Served, tabs: Tabs, room: str, name: Callable[[str], str]
) -> None:
    page = tabs.open(tabs.profile(viewport={"width": 390, "height": 844}, has_touch=True))
    page.goto(f"{showcase.url}/chat")
    page.keyboard.type(name("alice"))  # the name has the focus
    page.keyboard.press("Enter")
    online(page)
    places = page.get_by_test_id("toggle-places")
    places.focus()
    page.keyboard.press("Enter")
    expect(places).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(places).to_have_attribute("aria-expanded", "false")
    expect(places).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_test_id("room-input").focus()
    page.keyboard.type(room)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("talk-title")).to_have_text(room)
    expect(page.get_by_test_id("composer")).to_be_focused()
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(said(page, "typed")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def held_back(page: Page) -> Callable[[], None]:
    """The page's next attempt to connect waits until it is let."""
    page.evaluate(
        """() => {
          const { setTimeout } = window;
          window.setTimeout = (callback, ...rest) => {
            if (!`${callback}`.includes("#open")) return setTimeout(callback, ...rest);
            window.setTimeout = setTimeout;
            window.comeBack = callback;
          };
        }"""
    )
    return lambda: page.evaluate("() => window.comeBack()")


def test_the_page_comes_back_by_itself_after_its_worker_was_killed_and_misses_nothing(
    tabs: Tabs, enter: Callable[..., Page], room: str
) -> None:
    # A server of its own: what a killed worker leaves behind is nobody else's business.
    tabs.may_lose_its_server = True
    with Served("--dev", "--workers", "3") as server:
        hers, his = (enter(f"{server.url}/chat", user) for user in ("alice", "bob"))
        join(hers, room)
        join(his, room)
        onto_different_workers(hers, his)
        for page in (hers, his):
            page.locator(f'[data-testid=room-entry][data-name="{room}"] button').click()
        say(his, "before")
        expect(said(hers, "before")).to_be_visible()
        killed = online(hers)
        come_back = held_back(hers)
        os.kill(process_of(server, killed), signal.SIGKILL)
        expect(hers.get_by_test_id("status")).to_have_attribute("data-state", "offline")
        meanwhile = [f"meanwhile {number}" for number in range(5)]
        for content in meanwhile:
            say(his, content)
            expect(said(his, content)).to_have_count(1)
        say(hers, "I am away")
        problem = hers.locator("#composer .problem")
        expect(problem).to_have_text("There is no connection right now; nothing was sent.")
        come_back()
        expect(hers.get_by_test_id("node")).to_have_text(re.compile(rf"^(?!{killed}$).+"))
        expect(problem).to_be_empty()
        expect(hers.get_by_test_id("composer")).to_have_value("I am away")
        online(hers)
        expect(hers.get_by_test_id("content")).to_have_text(["before", *meanwhile])
        line = hers.get_by_test_id("notice").filter(has_text="Connected again. 5 messages while you were away.")
        expect(line).to_have_count(1)
        say(his, "are you back?")
        say(hers, "I am back")
        for page in (hers, his):
            expect(page.get_by_test_id("content")).to_contain_text(["before", *meanwhile, "are you back?"])
            expect(said(page, "I am back")).to_have_count(1)
        hers.close()
        his.close()
