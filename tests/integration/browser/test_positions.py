"""The browser's client comes back to where it was: against a server that is played."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.integration.browser.conftest import Tabs, until
from tests.integration.browser.played import Played, back, in_the_lobby, lobby, notice, shows
from tests.kit.running import Served

pytestmark = pytest.mark.browser


@pytest.fixture
def chat(showcase: Served, tabs: Tabs) -> Callable[..., Played]:
    return partial(in_the_lobby, showcase.url, tabs)


def test_a_room_shows_what_it_keeps_on_the_first_join(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one", "two"))
    shows(played.page, "one", "two")
    assert played.sinces("lobby") == [{"offset": 0}]
    expect(played.page.get_by_test_id("notice")).to_have_count(0)
    expect(played.page.get_by_test_id("message").locator("time")).to_have_count(0)  # nobody knows when
    played.say("lobby", "three")
    shows(played.page, "one", "two", "three")
    expect(played.page.get_by_test_id("message").locator("time")).to_have_count(1)


def test_a_room_that_no_longer_keeps_its_beginning_says_so(chat: Callable[..., Played]) -> None:
    stream = lobby("one", "two", "three")
    del stream.kept[1]
    played = chat(lobby=stream)
    shows(played.page, "two", "three")
    expect(notice(played.page, "Older messages are no longer kept")).to_have_count(1)


def test_what_was_missed_comes_once_and_in_order_and_is_counted(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one"))
    played.say("lobby", "two")
    shows(played.page, "one", "two")
    played.say("lobby", "three", to_the_page=False)
    played.say("lobby", "four", to_the_page=False)
    back(played)
    shows(played.page, "one", "two", "three", "four")
    assert played.sinces("lobby") == [{"offset": 0}, {"epoch": "e1", "offset": 2}]
    expect(notice(played.page, "Connected again. 2 messages while you were away.")).to_have_count(1)
    back(played)
    expect(notice(played.page, "Connected again.")).to_have_count(2)
    shows(played.page, "one", "two", "three", "four")
    assert played.sinces("lobby")[2] == {"epoch": "e1", "offset": 4}
    expect(notice(played.page, "1 message")).to_have_count(0)


def test_a_room_in_which_nothing_was_said_yet_is_come_back_to(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby())
    played.say("lobby", "one", to_the_page=False)
    back(played)
    shows(played.page, "one")
    assert played.sinces("lobby")[1] == {"epoch": "e1", "offset": 0}
    expect(notice(played.page, "1 message while you were away.")).to_have_count(1)


def test_a_replay_that_breaks_in_the_middle_goes_on_where_it_broke(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one"))
    for content in ("two", "three", "four"):
        played.say("lobby", content, to_the_page=False)

    def breaks(message: dict[str, Any]) -> None:
        fields = {"epoch": "e1", "offset": 4, "recovered": True}
        played.send("room_joined", id=message["id"], room="lobby", members=["alice"], **fields)
        played.replay("lobby", 2)
        played.close(4007)

    played.answers.append(breaks)
    played.close(4007)
    until(played.page, lambda: len(played.sinces("lobby")) == 3, what="another join")
    shows(played.page, "one", "two", "three", "four")
    assert played.sinces("lobby")[1:] == [{"epoch": "e1", "offset": 1}, {"epoch": "e1", "offset": 2}]


def test_a_first_replay_that_breaks_before_its_first_message_is_asked_for_again(chat: Callable[..., Played]) -> None:
    played = chat()
    played.streams["tea"] = lobby("one", "two")

    def breaks(message: dict[str, Any]) -> None:
        fields = {"epoch": "e1", "offset": 2, "recovered": True}
        played.send("room_joined", id=message["id"], room="tea", members=["alice"], **fields)
        played.close(4007)

    played.answers.append(breaks)
    played.page.get_by_test_id("room-input").fill("tea")
    played.page.get_by_test_id("join-button").click()
    until(played.page, lambda: len(played.sinces("tea")) == 2, what="another join")
    assert played.sinces("tea") == [{"offset": 0}, {"offset": 0}]
    shows(played.page, "one", "two")


def test_what_was_here_already_is_not_shown_again(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one"))
    played.say("lobby", "two")
    played.replay("lobby", 1, 2)
    played.say("lobby", "three")
    shows(played.page, "one", "two", "three")


def test_direct_messages_are_found_in_the_inbox(chat: Callable[..., Played]) -> None:
    played = chat(me=lobby("while you were out"))
    page = played.page
    entry = page.get_by_test_id("direct-entry").filter(has_text="bob")
    expect(entry.get_by_test_id("unread")).to_have_count(0)  # nobody knows whether it was read elsewhere
    entry.get_by_role("button").click()
    shows(page, "while you were out")
    expect(page.get_by_test_id("notice")).to_have_count(0)

    played.say("@me", "are you there?", to_the_page=False)

    def comes_early(message: dict[str, Any]) -> None:
        played.join(message)  # the lobby
        played.say("@me", "hello?")  # the user is reached before the page has joined

    played.answers.append(comes_early)
    back(played)
    shows(page, "while you were out", "are you there?", "hello?")
    assert played.sinces("@me")[1] == {"epoch": "e1", "offset": 1}
    expect(notice(page, "2 messages while you were away.")).to_have_count(1)


def test_a_join_that_cannot_be_answered_now_is_tried_with_another_connection(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one"))
    played.say("lobby", "two", to_the_page=False)
    away = {"code": "unavailable", "message": "the broker is away"}
    played.answers.append(lambda message: played.send("error", id=message["id"], **away))
    played.close(4007)
    played.until_opened(3)
    shows(played.page, "one", "two")


def test_a_message_of_unknown_fate_that_had_gone_out_is_not_offered_again(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby())
    page = played.page
    page.get_by_test_id("composer").fill("into the dark")
    page.get_by_test_id("composer").press("Enter")
    until(page, lambda: bool(played.received_of("room_message")), what="the message")
    played.answers.append(lambda message: None)  # held back, until the page has said what it knows
    played.close(4007)
    played.until_opened(2)
    expect(page.get_by_test_id("composer")).to_have_value("into the dark")
    expect(page.get_by_test_id("chat-problem")).to_contain_text("may or may not")
    until(page, lambda: len(played.sinces("lobby")) == 2, what="the join")
    id = played.received_of("join_room")[-1]["id"]
    played.send("room_joined", id=id, room="lobby", members=["alice"], epoch="e1", offset=1, recovered=True)
    said = {"from": "alice", "content": "into the dark"}
    played.send("room_message", room="lobby", offset=1, **said)
    shows(page, "into the dark")
    expect(page.get_by_test_id("composer")).to_have_value("")
    expect(page.get_by_test_id("chat-problem")).to_have_text("")


def test_the_notices_of_a_user_who_was_away_are_listed_and_those_that_were_seen_are_not_shown_twice(
    showcase: Served, tabs: Tabs
) -> None:
    page = tabs.open()
    played = Played(page)
    page.goto(f"{showcase.url}/notifications")
    done = {"status": "processed", "volume": 1.5}

    def inbox(top: int, *ids: int) -> Callable[[dict[str, Any]], None]:
        def answer(message: dict[str, Any]) -> None:
            fields = {"epoch": "e1", "offset": top, "recovered": True}
            played.send("room_joined", id=message["id"], room="@me", **fields)
            for id in ids:
                played.send("certificate_processed", room="@me", offset=id, data={"id": id, **done})

        return answer

    played.answers += [inbox(2, 1, 2), inbox(4, 2, 3, 4)]
    page.get_by_test_id("login-name").fill("alice")
    page.get_by_test_id("login-button").click()
    notices = page.get_by_test_id("notice")
    expect(notices).to_contain_text(["Certificate 2", "Certificate 1"])
    expect(page.get_by_test_id("toast")).to_have_count(0)  # kept from before
    played.close(4007)
    expect(notices).to_contain_text(["Certificate 4", "Certificate 3", "Certificate 2", "Certificate 1"])
    expect(page.get_by_test_id("toast")).to_contain_text(["Certificate 3", "Certificate 4"])
