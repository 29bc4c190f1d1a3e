"""The browser's client comes back to many rooms in one message: against a server that is played."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.integration.browser.conftest import Tabs, until
from tests.integration.browser.played import Played
from tests.kit.running import Served

pytestmark = pytest.mark.browser

ROOMS = [f"r{number}" for number in range(60)]


def client(server: Served, tabs: Tabs) -> Played:
    """A client of the page's own, in all of the rooms as soon as it is connected."""
    page = tabs.open()
    played = Played(page)
    page.goto(server.url)
    page.evaluate(
        """async (rooms) => {
          const { HubClient } = await import("/static/hubbub.js");
          window.hub = new HubClient();
          window.left = [];
          hub.on("room_left", ({ room, reason }) => left.push([room, reason]));
          for (const room of rooms) hub.join(room);
          hub.connect();
        }""",
        ROOMS,
    )
    return played


def answered(page: Page) -> bool:
    return bool(page.evaluate("() => hub.status.state === 'online' && hub.replies.waiting.size === 0"))


def test_all_rooms_are_joined_in_one_message(showcase: Served, tabs: Tabs) -> None:
    played = client(showcase, tabs)
    until(played.page, lambda: len(played.joins()) == len(ROOMS), what="the joins")
    played.close(4007)
    until(played.page, lambda: len(played.joins()) == 2 * len(ROOMS), what="the joins again")
    until(played.page, lambda: answered(played.page), what="all are answered")
    [first, second] = played.received_of("join_room")
    assert [asked["room"] for asked in first["rooms"]] == [asked["room"] for asked in second["rooms"]] == ROOMS
    assert played.page.evaluate("() => left") == []


def test_of_many_rooms_one_that_is_refused_is_given_up_alone(showcase: Served, tabs: Tabs) -> None:
    def refuse(asked: dict[str, Any]) -> None:
        error = {"id": asked["id"], "room": asked["room"], "code": "forbidden", "message": "not for you"}
        played.send("error", **error)

    played = client(showcase, tabs)
    until(played.page, lambda: answered(played.page) and bool(played.joins()), what="the joins")
    played.answers += [played.join, refuse]
    played.close(4007)
    until(played.page, lambda: bool(played.page.evaluate("() => left.length")), what="one is left")
    assert played.page.evaluate("() => left") == [["r1", "not for you"]]
    assert played.page.evaluate("() => [...hub.rooms.keys()]") == [room for room in ROOMS if room != "r1"]


def test_a_server_that_knows_no_lists_is_asked_one_by_one(showcase: Served, tabs: Tabs) -> None:
    played = client(showcase, tabs)
    until(played.page, lambda: answered(played.page) and bool(played.joins()), what="the joins")

    def older(asked: dict[str, Any]) -> None:
        played.send("error", id=asked["id"], code="invalid_message", field="room", message="room is a string")

    played.answers += [older, *[lambda asked: None] * (len(ROOMS) - 1)]
    played.close(4007)
    until(played.page, lambda: len(played.joins()) == 3 * len(ROOMS), what="each is joined alone")
    until(played.page, lambda: answered(played.page), what="all are answered")
    assert [asked["room"] for asked in played.received_of("join_room")[2:]] == ROOMS
    assert played.page.evaluate("() => left") == []
