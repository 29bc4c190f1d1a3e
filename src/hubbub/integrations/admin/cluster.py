"""What all workers say of one thing, put together: for whoever asks, whichever worker is asked."""

from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import Any

from hubbub.hub.hub import Hub, operators_of
from hubbub.hub.operators import refusal_of
from hubbub.hub.questions import Answers
from hubbub.types import NodeId

#: Rooms of which all workers are asked how large they are, at most.
_SIZED = 1_000


async def overview(hub: Hub, now: float) -> dict[str, Any]:
    """Raises Unavailable."""
    answers = await hub.workers.ask("operators.overview")
    stats = await hub.stats()
    refused: dict[str, Counter[str]] = {"total": Counter(), "recent": Counter()}
    workers = []
    for node, said in sorted(answers.said.items()):
        for name, (total, recent) in said["refusals"].items():
            refused["total"][name] += total
            refused["recent"][name] += recent
        worker = {key: value for key, value in said.items() if key != "refusals"}
        workers.append({"node": node, "state": "answers", "reason": None, **worker})
    workers += [{"node": node, "state": "failed", "reason": why} for node, why in sorted(answers.failed.items())]
    workers += [
        {"node": node, "state": "silent", "reason": "it said nothing within a second"} for node in answers.silent
    ]
    here = answers.said.get(hub.node, {})
    return {
        "node": hub.node,
        "at": now,
        "connections": stats.connections,
        "users": stats.users,
        "rooms": stats.rooms,
        "broker": {"round_trip": here.get("round_trip"), "unready": here.get("unready")},
        "workers": workers,
        "refusals": [
            {"what": what, "reason": reason, "total": total, "recent": refused["recent"][name]}
            for name, total in sorted(refused["total"].items())
            for what, reason in (refusal_of(name),)
        ],
    }


async def samples(hub: Hub, since: float, every: float, keep: float) -> dict[str, Any]:
    answers = await hub.workers.ask("operators.samples", since=since)
    workers = [{"node": node, "samples": said} for node, said in sorted(answers.said.items())]
    return {"every": every, "keep": keep, "workers": workers, **missing(answers)}


async def rooms(hub: Hub, prefix: str, after: str | None, limit: int, *, by_size: bool) -> dict[str, Any]:
    """One more than `limit` is asked for, so that it is known whether there are more."""
    asked = {"prefix": prefix, "after": after, "limit": limit + 1, "by_size": by_size}
    answers = await hub.workers.ask("operators.rooms", **asked)
    found: Counter[str] = Counter()
    for said in answers.said.values():
        found.update(said)
    asked_of = [answers]
    if by_size:
        # What is among the largest here may be anywhere there: each is asked once more for all that were named.
        named = [room for room, _ in found.most_common(_SIZED)]
        found = Counter()
        asked_of.append(await hub.workers.ask("operators.sizes", rooms=named))
        for said in asked_of[-1].said.values():
            found.update(said)
        listed = nlargest(limit, found, key=lambda room: (found[room], room))
    else:
        listed = sorted(found)[:limit]
    more = len(found) > limit
    return {
        "rooms": [{"room": room, "connections": found[room]} for room in listed],
        "more": more,
        "after": listed[-1] if more and listed and not by_size else None,
        **missing(*asked_of),
    }


async def room(hub: Hub, name: str, limit: int, listed: int) -> dict[str, Any]:
    """Raises InvalidMessage for a bad name, Unavailable."""
    handle = hub.room(name)
    members = await handle.members()
    page = await handle.history(limit=limit, reverse=True)
    sizes = await hub.workers.ask("operators.sizes", rooms=[name])
    asked_of = [sizes]
    size = sum(said.get(name, 0) for said in sizes.said.values())
    presence = operators_of(hub).has_presence(name)
    total: int | None = len(members)
    if not presence and size:
        # Nobody counts who is in a room without presence: those are named who have a connection, as far as they fit.
        answers = await hub.workers.ask("operators.users", room=name)
        asked_of.append(answers)
        members = sorted({user for said in answers.said.values() for user in said})
        total = len(members) if len(members) < listed else None
    history = None
    if page.position is not None:
        messages = [{"offset": message.get("offset"), "message": message} for message in page.messages]
        history = {"epoch": page.position.epoch, "offset": page.position.offset, "messages": messages}
    return {
        "room": name,
        "connections": size,
        "members": members[:listed],
        "members_total": total,
        "presence": presence,
        "history": history,
        **missing(*asked_of),
    }


async def connections(hub: Hub, limit: int, user: str | None = None) -> dict[str, Any]:
    """Of a user; or else those for which most waits. One more is asked for, as of rooms. Raises Unavailable."""
    answers = await hub.workers.ask("operators.connections", limit=limit + 1, user=user)
    found = [{"node": node, **each} for node, each in _each(answers.said)]
    found.sort(key=lambda each: (-each["outbox_bytes"], each["connection"]))
    return {"connections": found[:limit], "more": len(found) > limit, **missing(answers)}


async def close(hub: Hub, connection: str, reason: str) -> dict[str, Any]:
    answers = await hub.workers.ask("operators.close", connection=connection, reason=reason)
    return {"connections": sum(answers.said.values()), **missing(answers)}


def missing(*answers: Answers) -> dict[str, Any]:
    """Workers of which an answer is missing, so that nobody takes what is shown for all there is."""
    silent = dict.fromkeys(node for each in answers for node in each.silent)
    failed = dict.fromkeys(node for each in answers for node in each.failed)
    return {"silent": [*silent], "failed": [*failed]}


def _each(said: Mapping[NodeId, Any]) -> Iterator[tuple[NodeId, dict[str, Any]]]:
    for node, found in said.items():
        for each in found:
            yield node, each
