"""A server that a test plays for the page's client: what it keeps of its rooms, it hands out as the wire says."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.integration.browser.conftest import Tabs, online, until


@dataclass
class Stream:
    """What a room keeps: offset to content. `top` is the last offset that was ever given."""

    epoch: str
    top: int = 0
    kept: dict[int, str] = field(default_factory=dict)

    def add(self, content: str) -> int:
        self.top += 1
        self.kept[self.top] = content
        return self.top

    def joined(self, since: dict[str, Any] | None) -> tuple[dict[str, Any], list[int]]:
        """The fields of `room_joined`, and the offsets that follow it."""
        fields: dict[str, Any] = {"epoch": self.epoch, "offset": self.top}
        if since is None:
            return fields, []
        missed = range(since["offset"] + 1, self.top + 1)
        known = since.get("epoch", self.epoch) == self.epoch
        whole = known and since["offset"] <= self.top and all(offset in self.kept for offset in missed)
        replayed = [offset for offset in missed if offset in self.kept] if whole or "epoch" not in since else []
        return {**fields, "recovered": whole}, replayed


class Played:
    """The server's end of the page's sockets. The last one is the living one."""

    def __init__(self, page: Page, *, interval: int = 25_000, timeout: int = 10_000) -> None:
        self.page = page
        self.sockets: list[WebSocketRoute] = []
        self.received: list[dict[str, Any]] = []
        self.welcomed = {"interval": interval, "timeout": timeout}
        self.streams: dict[str, Stream] = {}
        self.answers: list[Callable[[dict[str, Any]], None]] = []
        """Each is called with the next room that is joined, instead of an answer."""
        page.route_web_socket("**/ws", self._opened)

    def send(self, type: str, **fields: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": type, **fields}))

    def say(self, room: str, content: str, *, to_the_page: bool = True) -> None:
        """Bob says it in a room that keeps history, or to the user whose page it is."""
        offset = self.streams[room].add(content)
        if to_the_page:
            self.replay(room, offset)

    def replay(self, room: str, *offsets: int) -> None:
        type = "direct_message" if room == "@me" else "room_message"
        for offset in offsets:
            content = self.streams[room].kept[offset]
            self.send(type, room=room, offset=offset, content=content, **{"from": "bob"})

    def join(self, message: dict[str, Any]) -> None:
        """Answers a `join_room`, or one room of it."""
        room = message["room"]
        stream = self.streams.get(room)
        fields, offsets = stream.joined(message.get("since")) if stream else ({}, [])
        if stream is None and "since" in message:
            fields = {"recovered": False}
        self.send("room_joined", id=message["id"], room=room, members=["alice"], **fields)
        self.replay(room, *offsets)

    def close(self, code: int) -> None:
        self.sockets[-1].close(code=code, reason="played")

    def received_of(self, type: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == type]

    def sinces(self, room: str) -> list[dict[str, Any] | None]:
        """The positions named on joining it, in order."""
        return [asked.get("since") for asked in self.joins() if asked["room"] == room]

    def joins(self) -> list[dict[str, Any]]:
        """What it was asked to join, room by room, in order."""
        return [asked for message in self.received_of("join_room") for asked in _rooms_of(message)]

    def until_opened(self, times: int) -> None:
        until(self.page, lambda: len(self.sockets) >= times, what=f"{times} sockets")

    def _opened(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self._take)
        self.send(
            "welcome",
            status="authenticated",
            connection="c1",
            user="alice",
            node=f"node{len(self.sockets)}",
            heartbeat=self.welcomed,
        )

    def _take(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.received.append(message)
        if message["type"] == "join_room":
            for asked in _rooms_of(message):
                answer = self.answers.pop(0) if self.answers else self.join
                answer(asked)


def _rooms_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A `join_room` of several rooms as one of each."""
    return [{**message, **asked} for asked in message.get("rooms", [message])]


def in_the_lobby(url: str, tabs: Tabs, **streams: Stream) -> Played:
    """The chat page, joined; `streams` are what the rooms keep by then, `me` the inbox."""
    page = tabs.open()
    played = Played(page)
    played.streams = {"@me" if name == "me" else name: stream for name, stream in streams.items()}
    page.goto(f"{url}/chat")
    page.get_by_test_id("login-name").fill("alice")
    page.get_by_test_id("login-button").click()
    online(page)
    until(page, lambda: bool(played.sinces("@me")), what="the joins")
    return played


def lobby(*contents: str, epoch: str = "e1") -> Stream:
    stream = Stream(epoch)
    for content in contents:
        stream.add(content)
    return stream


def shows(page: Page, *contents: str) -> None:
    """These messages, in this order, and no other."""
    expect(page.get_by_test_id("content")).to_have_text(list(contents))


def notice(page: Page, text: str) -> Locator:
    return page.get_by_test_id("notice").filter(has_text=text)


def back(played: Played) -> None:
    """The connection breaks, and the page returns and joins."""
    joins = len(played.sinces("@me"))
    played.close(4007)
    until(played.page, lambda: len(played.sinces("@me")) > joins, what="the joins again")


def recorded_waits(page: Page) -> Callable[[], list[float]]:
    """The delays before attempts, from here on: what the page says when it goes offline."""
    page.evaluate(
        """() => {
          window.waits = [];
          const { setTimeout } = window;
          window.setTimeout = (callback, delay, ...rest) => {
            if (`${callback}`.includes("#open")) window.waits.push(delay);
            return setTimeout(callback, delay, ...rest);
          };
        }"""
    )
    return lambda: page.evaluate("() => window.waits")
