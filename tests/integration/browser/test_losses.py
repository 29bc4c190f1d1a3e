"""What the browser's client says, and does, where something could not be recovered: against a server that is played."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.integration.browser.conftest import Tabs
from tests.integration.browser.played import Played, back, in_the_lobby, lobby, notice, shows
from tests.kit.running import Served

pytestmark = pytest.mark.browser


@pytest.fixture
def chat(showcase: Served, tabs: Tabs) -> Callable[..., Played]:
    return partial(in_the_lobby, showcase.url, tabs)


def test_what_could_not_be_recovered_is_said_and_what_is_left_comes(chat: Callable[..., Played]) -> None:
    stream = lobby("one")
    played = chat(lobby=stream)
    for content in ("two", "three", "four"):
        played.say("lobby", content, to_the_page=False)
    del stream.kept[2]
    back(played)
    shows(played.page, "one", "three", "four")
    assert played.sinces("lobby")[1:] == [{"epoch": "e1", "offset": 1}, {"offset": 0}]
    line = "Connected again. Some messages could not be recovered. The last 2 messages:"
    expect(notice(played.page, line)).to_have_count(1)
    back(played)
    assert played.sinces("lobby")[3:] == [{"epoch": "e1", "offset": 4}]
    expect(notice(played.page, "Some messages")).to_have_count(1)


def test_a_message_that_comes_before_what_is_left_is_not_out_of_order(chat: Callable[..., Played]) -> None:
    stream = lobby("one")
    played = chat(lobby=stream)
    for content in ("two", "three"):
        played.say("lobby", content, to_the_page=False)
    del stream.kept[2]

    def lost(message: dict[str, Any]) -> None:
        played.join(message)
        played.say("lobby", "four")  # before the page's next join is read

    played.answers.append(lost)
    back(played)
    shows(played.page, "one", "three", "four")


def test_a_stream_that_began_anew_is_taken_from_its_beginning(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one", "two", "three"))
    shows(played.page, "one", "two", "three")
    played.streams["lobby"] = lobby("new one", epoch="e2")
    back(played)
    shows(played.page, "one", "two", "three", "new one")
    expect(notice(played.page, "Some messages could not be recovered.")).to_have_count(1)
    played.say("lobby", "new two")
    shows(played.page, "one", "two", "three", "new one", "new two")
    back(played)
    assert played.sinces("lobby")[-1] == {"epoch": "e2", "offset": 2}


def test_a_gap_that_history_can_fill_is_filled_without_a_word(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one"))
    for content in ("two", "three"):
        played.say("lobby", content, to_the_page=False)
    played.send("gap", room="lobby", epoch="e1", after=1, upto=3)
    played.say("lobby", "four")  # the page has not asked yet
    shows(played.page, "one", "two", "three", "four")
    assert played.sinces("lobby")[1:] == [{"epoch": "e1", "offset": 1}]
    expect(played.page.get_by_test_id("notice").filter(has_text="could not")).to_have_count(0)


def test_a_gap_that_history_cannot_fill_is_said(chat: Callable[..., Played]) -> None:
    stream = lobby("one")
    played = chat(lobby=stream)
    for content in ("two", "three"):
        played.say("lobby", content, to_the_page=False)
    del stream.kept[2]
    played.send("gap", room="lobby", epoch="e1", after=1, upto=2)
    shows(played.page, "one", "three")
    expect(notice(played.page, "Some messages could not be recovered. The last 1 message:")).to_have_count(1)
    played.send("gap", room="lobby", epoch="e1", after=1, upto=3)  # old news
    played.say("lobby", "four")
    shows(played.page, "one", "three", "four")
    assert len(played.sinces("lobby")) == 3


def test_a_gap_to_a_new_epoch_is_said_and_its_messages_are_asked_for(chat: Callable[..., Played]) -> None:
    played = chat(lobby=lobby("one", "two", "three"))
    shows(played.page, "one", "two", "three")
    played.streams["lobby"] = lobby("new one", epoch="e2")
    played.send("gap", room="lobby", epoch="e2", after=0, upto=1)
    shows(played.page, "one", "two", "three", "new one")
    expect(notice(played.page, "Some messages could not be recovered. The last 1 message:")).to_have_count(1)


def test_what_a_slow_reader_was_not_sent_in_a_room_that_keeps_nothing_is_said(chat: Callable[..., Played]) -> None:
    played = chat()
    played.send("gap", room="lobby", dropped=3)
    expect(notice(played.page, "Some messages could not be recovered.")).to_have_count(1)
    assert len(played.sinces("lobby")) == 1


def test_a_room_that_keeps_nothing_says_what_that_means(chat: Callable[..., Played]) -> None:
    played = chat()
    back(played)
    expect(notice(played.page, "What was said in between did not reach this tab")).to_have_count(1)
    assert played.sinces("lobby") == [{"offset": 0}, None]


def test_lost_direct_messages_are_said_in_every_conversation(chat: Callable[..., Played]) -> None:
    stream = lobby("one")
    played = chat(me=stream)
    page = played.page
    page.get_by_test_id("direct-entry").filter(has_text="bob").get_by_role("button").click()
    for content in ("two", "three"):
        played.say("@me", content, to_the_page=False)
    del stream.kept[2]
    back(played)
    shows(page, "one", "three")
    expect(notice(page, "Some messages could not be recovered. The last 1 message:")).to_have_count(1)
