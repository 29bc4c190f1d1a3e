"""What a client believes who is in a room, and what each shows, by what it was told, as the documentation does it."""

from collections.abc import Iterable, Mapping
from typing import Any


def members(log: Iterable[Mapping[str, Any]], room: str) -> set[str] | None:
    """None where it is not in the room."""
    shown = presence(log, room)
    return None if shown is None else set(shown)


def presence(log: Iterable[Mapping[str, Any]], room: str) -> dict[str, Any] | None:
    """By user; None where it is not in the room."""
    here: dict[str, Any] | None = None
    for message in log:
        if message.get("room") != room:
            continue
        joined, left = message.get("joined", ()), message.get("left", ())
        match message["type"]:
            case "room_joined":
                here, joined = {}, message["members"]
            case "room_left":
                here = None
            case "user_joined_room":
                joined = [message["user"]]
            case "user_left_room":
                left = [message["user"]]
        if here is None:
            continue
        for user in joined:
            here[user] = {}
        for user in left:
            here.pop(user, None)
        here.update(message.get("presence", {}))
    return here


def online(log: Iterable[Mapping[str, Any]]) -> set[str]:
    """Of those who were told of since it came."""
    here: set[str] = set()
    for message in log:
        match message["type"]:
            case "user_connected":
                here.add(message["user"])
            case "user_disconnected":
                here.discard(message["user"])
            case "users_diff":
                here.update(message["connected"])
                here.difference_update(message["disconnected"])
    return here
