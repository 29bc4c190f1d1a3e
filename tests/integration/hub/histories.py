"""An application whose rooms keep what is said, and tabs that come back to them."""

from typing import Any

import redis
from fastapi import FastAPI

from hubbub import History, Hub
from tests.kit.client import Tab
from tests.kit.serving import simple

KEEP = History(size=50, ttl=60)


def keeping(hub: Hub, keep: History = KEEP, **options: Any) -> FastAPI:
    """As `simple`, and anybody may join `kept:…`, whose messages are kept."""

    @hub.rooms("kept:{name}", history=keep, **options)
    async def anybody(name: str) -> bool:
        return True

    return simple(hub)


async def say(hub: Hub, *numbers: int, room: str = "kept:a", **fields: Any) -> None:
    for number in numbers:
        await hub.room(room).send({"type": "m", "n": number}, **fields)


def since(joined: dict[str, Any], offset: int | None = None) -> dict[str, Any]:
    """Where a `room_joined` left off, or at another offset of its epoch."""
    return {"epoch": joined["epoch"], "offset": joined["offset"] if offset is None else offset}


async def heard(tab: Tab, several: int) -> list[tuple[int, int]]:
    """The next messages: number and offset."""
    messages = [await tab.receive("m") for _ in range(several)]
    return [(message["n"], message["offset"]) for message in messages]


def delete(url: str, ending: str) -> None:
    """What an eviction takes: the stream of every topic, or what is known of it."""
    with redis.Redis.from_url(url) as client:
        found = client.keys(f"*:{ending}")
        assert found
        client.delete(*found)


def flush(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()
