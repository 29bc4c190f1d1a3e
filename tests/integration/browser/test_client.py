"""The browser's client against a server that this test plays, frame by frame."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hubbub.closes import CLOSES, Return
from tests.integration.browser.conftest import Tabs, online, until
from tests.integration.browser.played import Played, recorded_waits
from tests.kit.running import Served
from tests.kit.stopwatch import Stopwatch

pytestmark = pytest.mark.browser

WORDS = {
    Return.NEVER: "never",
    Return.BACKOFF: "backoff",
    Return.AT_ONCE: "at_once",
    Return.AFTER_RETRY: "after_retry",
    Return.NEW_CREDENTIAL: "new_credential",
}
NEVER = [close.code for close in CLOSES if close.comes_back is Return.NEVER]


@pytest.fixture
def chat(showcase: Served, tabs: Tabs) -> Callable[..., Played]:
    def start(**heartbeat: int) -> Played:
        page = tabs.open()
        played = Played(page, **heartbeat)
        page.goto(f"{showcase.url}/chat")
        page.get_by_test_id("login-name").fill("alice")
        page.get_by_test_id("login-button").click()
        online(page)
        until(page, lambda: bool(played.sinces("@me")), what="the joins")
        return played

    return start


def test_the_table_of_closes_is_the_servers(showcase: Served, tabs: Tabs) -> None:
    page = tabs.open()
    page.goto(f"{showcase.url}/")
    table = page.evaluate("async () => (await import('/static/hubbub.js')).CLOSES")
    assert table == {str(close.code): WORDS[close.comes_back] for close in CLOSES}


def test_a_ping_is_answered_with_its_own_ts(chat: Callable[..., Played]) -> None:
    played = chat()
    played.send("ping", ts=12345)
    until(played.page, lambda: played.received_of("pong") == [{"type": "pong", "ts": 12345}], what="one pong")


def test_after_a_close_that_may_come_back_the_rooms_are_joined_again(chat: Callable[..., Played]) -> None:
    played = chat()
    played.close(1011)
    played.until_opened(2)
    until(played.page, lambda: len(played.sinces("@me")) == 2, what="the last of the joins")
    assert [asked["room"] for asked in played.joins()] == ["lobby", "@me", "lobby", "@me"]
    expect(played.page.get_by_test_id("node")).to_have_text("node2")


@pytest.mark.parametrize("code", [4006, 4007])
def test_at_once_is_at_once(chat: Callable[..., Played], code: int) -> None:
    played = chat()
    waits = recorded_waits(played.page)
    played.close(code)
    played.until_opened(2)
    assert waits() == [0]


def test_the_servers_retry_after_is_obeyed(chat: Callable[..., Played]) -> None:
    played = chat()
    waits = recorded_waits(played.page)
    played.send("closing", code=1012, reason="restarting", retry_after=1500)
    watch = Stopwatch()
    played.close(1012)
    played.until_opened(2)
    assert watch.wall >= 1.4
    assert waits() == [1500]


def test_nothing_cuts_short_the_wait_that_the_server_asked_for(chat: Callable[..., Played]) -> None:
    played = chat()
    waits = recorded_waits(played.page)
    played.send("closing", code=1013, reason="overloaded", retry_after=5000)
    watch = Stopwatch()
    played.close(1013)
    expect(played.page.get_by_test_id("status")).to_have_attribute("data-state", "offline")
    played.page.evaluate("() => dispatchEvent(new Event('online'))")
    played.until_opened(2)
    assert watch.wall >= 4.9
    assert waits() == [5000]


def test_the_waits_grow_and_are_spread(chat: Callable[..., Played]) -> None:
    played = chat()
    played.page.evaluate("() => { Math.random = () => 0.5; }")
    waits = recorded_waits(played.page)
    for times in range(2, 6):
        played.close(1013)
        played.until_opened(times)
        online(played.page)
    assert waits() == [250, 500, 1000, 2000]


@pytest.mark.parametrize(("code", "after_it"), [(1012, 1000), (1013, 250)])
def test_a_restart_does_not_take_the_growth_back_and_a_steady_connection_does(
    chat: Callable[..., Played], code: int, after_it: int
) -> None:
    played = chat()
    played.page.evaluate("() => { Math.random = () => 0.5; }")
    waits = recorded_waits(played.page)
    for times in (2, 3):
        played.close(1011)
        played.until_opened(times)
        online(played.page)
    assert waits() == [250, 500]
    # The connection has lived for a minute, as far as the page can tell.
    played.page.evaluate("() => { const now = Date.now; Date.now = () => now() + 60_000; }")
    played.send("closing", code=code, reason="played", retry_after=10)
    played.close(code)
    played.until_opened(4)
    online(played.page)
    played.close(1011)
    played.until_opened(5)
    assert waits() == [250, 500, 10, after_it]


def test_a_restart_that_names_no_time_is_spread_over_five_seconds(chat: Callable[..., Played]) -> None:
    played = chat()
    played.page.evaluate("() => { Math.random = () => 0.2; }")
    waits = recorded_waits(played.page)
    played.close(1012)
    played.until_opened(2)
    assert waits() == [1000]


@pytest.mark.parametrize("code", [4001, 4005])
def test_a_refused_credential_is_replaced(chat: Callable[..., Played], code: int) -> None:
    played = chat()
    with played.page.expect_request("**/login") as asked:
        played.close(code)
    assert asked.value.post_data_json == {"name": "alice"}
    played.until_opened(2)
    online(played.page)


@pytest.mark.parametrize("code", [code for code in NEVER if code == 1000 or code >= 4000])
def test_never_is_never(chat: Callable[..., Played], code: int) -> None:
    played = chat()
    waits = recorded_waits(played.page)
    played.close(code)
    status = played.page.get_by_test_id("status")
    expect(status).to_have_attribute("data-state", "offline")
    played.page.evaluate("() => dispatchEvent(new Event('online'))")
    expect(status).to_have_attribute("data-state", "offline")
    assert waits() == []
    # A person may still ask for it.
    status.get_by_role("button").click()
    played.until_opened(2)
    online(played.page)


def test_a_server_that_goes_silent_is_left(chat: Callable[..., Played]) -> None:
    played = chat(interval=200, timeout=200)
    played.until_opened(2)  # 0.2 + 0.2 + 2 s without a frame


def test_a_request_under_way_is_not_called_a_success(chat: Callable[..., Played]) -> None:
    played = chat()
    page = played.page
    page.get_by_test_id("composer").fill("into the dark")
    page.get_by_test_id("composer").press("Enter")
    until(page, lambda: bool(played.received_of("room_message")), what="the message")
    played.close(4007)
    expect(page.get_by_test_id("chat-problem")).to_contain_text("may or may not have gone out")
    expect(page.get_by_test_id("composer")).to_have_value("into the dark")


def test_an_error_is_said_in_words(chat: Callable[..., Played]) -> None:
    played = chat()
    page = played.page
    page.get_by_test_id("composer").fill("too much")
    page.get_by_test_id("composer").press("Enter")
    until(page, lambda: bool(played.received_of("room_message")), what="the message")
    played.send("error", id=played.received_of("room_message")[0]["id"], code="rate_limited", message="slower")
    expect(page.get_by_test_id("chat-problem")).to_contain_text("too fast")
    expect(page.get_by_test_id("message")).to_have_count(0)


def test_a_page_that_is_looked_at_again_asks_whether_anyone_is_there(chat: Callable[..., Played]) -> None:
    played = chat()
    played.page.evaluate("() => dispatchEvent(new Event('online'))")
    until(played.page, lambda: len(played.received_of("ping")) == 1, what="a ping")
    played.until_opened(2)  # nobody answered it
    online(played.page)
