"""Reading a topic's history, as the application sees it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hubbub.options import History
from hubbub.ports.broker import Broker
from hubbub.ports.epochs import goes_on
from hubbub.protocol.envelope import Envelope, UnknownEnvelope
from hubbub.protocol.messages import with_offset
from hubbub.types import Position, Topic


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what is kept. `position` is that of the newest message there ever was; None where nothing is kept.

    `messages` are as their receivers got them, with `room` and `offset`. `complete`: none is missing between `since`
    and the first of them, nor among them; always True where the page has no `since`.
    """

    position: Position | None
    messages: Sequence[dict[str, Any]]
    complete: bool


async def page(
    broker: Broker, topic: Topic, keep: History | None, *, since: Position | None, limit: int, reverse: bool
) -> Page:
    """`keep`: what is kept of the topic. Raises ValueError for a `limit` below 1, Unavailable."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if keep is None:
        return Page(None, (), complete=since is None)
    offset = None if since is None else since.offset
    top, entries = await broker.read(topic, keep, since=offset, limit=limit, reverse=reverse)
    if since is not None and (not goes_on(since.epoch, top.epoch) or since.offset > top.offset):
        # Offsets of another epoch say nothing about these messages.
        return Page(top, (), complete=False)
    step = -1 if reverse else 1
    offsets = [entry.offset for entry in entries]
    first = offset + step if offset is not None else offsets[0] if offsets else top.offset + 1
    complete = offsets == list(range(first, first + step * len(offsets), step))
    if offset is not None and not offsets:
        complete = offset <= 1 if reverse else offset == top.offset
    messages = []
    for entry in entries:
        try:
            payload = Envelope.decode(entry.data).payload
        except UnknownEnvelope:
            complete = False  # written by a release that is newer than this one
            continue
        messages.append(json.loads(with_offset(payload, entry.offset)))
    return Page(top, messages, complete)
