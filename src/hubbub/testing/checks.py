"""Whether what clients saw is what Hubbub promises. Each check returns what is wrong, in sentences; nothing is good.

    assert not in_order(ledgers) + whole(ledgers) + agreed(ledgers) + delivered(ledgers, acknowledged)

What is judged is silence: a message that is missing although nobody said so. What `gap` or `recovered: false` said is
missing is excused, and so is what was sent while a client was in no room. Offsets that were skipped are a hole only
where nothing is left out on purpose (`exclude=`); in such rooms `delivered` finds the losses, by what was acknowledged.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from hubbub.testing.ledger import Came, Dropped, Got, Ledger, Stint, Went, identity
from hubbub.testing.reading import Reading, Violation, Wrong, readings
from hubbub.types import Position

#: What makes two messages the same one; None where a message is not to be looked at.
Same: TypeAlias = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A message whose sender was told that it was sent: where, when its sending began, and who was left out.

    `began` is by the ledgers' clock, and is needed only in rooms without history. `excluded`: users.
    """

    room: str
    message: Mapping[str, Any]
    position: Position | None = None
    began: float = 0.0
    excluded: Collection[str] = ()


def in_order(ledgers: Iterable[Ledger]) -> list[Violation]:
    """Offsets rising within each epoch, so nothing twice; nothing of a room one is not in; no untrue answer."""
    wrong: list[Violation] = []
    for ledger in ledgers:
        for _, reading in readings(ledger):
            wrong += [each for each in reading.wrong if each.kind is not Wrong.HOLE]
        for room, message in ledger.strays:
            wrong.append(Violation(Wrong.STRAY, ledger.client, room, f"{message['type']} while not in the room"))
    return wrong


def whole(ledgers: Iterable[Ledger]) -> list[Violation]:
    """No offset missing that was not told, every replay complete, and every `since` from where the client was.

    For rooms in which nothing is left out on purpose.
    """
    wrong: list[Violation] = []
    for ledger in ledgers:
        for room, stints in ledger.stints.items():
            here: Position | None = None
            for stint in stints:
                wrong += [each for each in Reading(ledger, stint).wrong if each.kind is Wrong.HOLE]
                since = stint.since
                if since and here and stint.recovered and since.epoch == here.epoch and since.offset > here.offset:
                    what = f"went on after {since.offset} of {since.epoch} and had come to {here.offset}"
                    wrong.append(Violation(Wrong.HOLE, ledger.client, room, what))
                here = stint.position or here
    return wrong


def agreed(ledgers: Sequence[Ledger], *, same: Same = identity) -> list[Violation]:
    """One message at each offset, each message at one offset, and where there are no offsets one order for all.

    `same` says what makes two messages the same one; default: all they have but `room` and `offset`. Messages that it
    returns None for are not looked at.
    """
    wrong: list[Violation] = []
    for room in sorted({room for ledger in ledgers for room in ledger.stints}):
        at: dict[tuple[str, int], tuple[str, object]] = {}
        places: dict[object, tuple[str, int]] = {}
        for ledger in ledgers:
            for _, reading in readings(ledger, room):
                for place, message in reading.seen.items():
                    what = same(message)
                    if what is None:
                        continue
                    other, seen = at.setdefault(place, (ledger.client, what))
                    if seen != what:
                        text = f"{place[0]}/{place[1]} is {what}, and {other} saw {seen}"
                        wrong.append(Violation(Wrong.DISAGREE, ledger.client, room, text))
                    if (first := places.setdefault(what, place)) != place:
                        text = f"{what} is at {first[0]}/{first[1]} and at {place[0]}/{place[1]}"
                        wrong.append(Violation(Wrong.TWICE, ledger.client, room, text))
        wrong += _one_order(ledgers, room, same)
    return wrong


def _one_order(ledgers: Sequence[Ledger], room: str, same: Same) -> Iterator[Violation]:
    """Of messages without an offset: nobody saw one twice, and the orders of all fit into one."""
    after: dict[object, set[object]] = {}
    before: dict[object, int] = {}
    for ledger in ledgers:
        for stint in ledger.stints.get(room, ()):
            if stint.epoch is not None or stint.implicit:
                continue
            order = [same(line.message) for line in stint.lines if isinstance(line, Got)]
            order = [what for what in order if what is not None]
            for what, times in Counter(order).items():
                if times > 1:
                    yield Violation(Wrong.TWICE, ledger.client, room, f"{what} came {times} times")
            for earlier, later in pairwise(dict.fromkeys(order)):
                before.setdefault(earlier, 0)
                if later not in after.setdefault(earlier, set()):
                    after[earlier].add(later)
                    before[later] = before.get(later, 0) + 1
    free = [what for what, count in before.items() if not count]
    while free:
        what = free.pop()
        del before[what]
        for later in after.get(what, ()):
            before[later] -= 1
            if not before[later]:
                free.append(later)
    if before:
        circle = ", ".join(sorted(map(str, before))[:5])
        yield Violation(Wrong.DISAGREE, "everybody", room, f"no one order has all of what was seen: {circle}")


def delivered(
    ledgers: Iterable[Ledger], acknowledged: Iterable[Acknowledged], *, same: Same = identity
) -> list[Violation]:
    """Every acknowledged message is at every client that was there throughout and was not told otherwise.

    Without history a client was there throughout if it joined before the sending began and never ended.
    """
    by_room: defaultdict[str, list[Acknowledged]] = defaultdict(list)
    for each in acknowledged:
        by_room[each.room].append(each)
    wrong: list[Violation] = []
    for ledger in ledgers:
        for room, stints in ledger.stints.items():
            read = [Reading(ledger, stint) for stint in stints]
            seen = {place: message for one in read for place, message in one.seen.items()}
            owed = [stretch for one in read for stretch in one.owed]
            live = _live(stints, same)
            for each in by_room[room]:
                if ledger.user in each.excluded:
                    continue
                what, place = same(each.message), each.position
                text = None
                if place is None:
                    if any(began <= each.began and what not in came for began, came in live):
                        text = f"{what} was acknowledged and did not come"
                elif (place.epoch, place.offset) in seen:
                    if (came_as := same(seen[place.epoch, place.offset])) != what:
                        text = f"{place.epoch}/{place.offset} is {came_as}, and was acknowledged as {what}"
                elif any(place.epoch == stretch.epoch and place.offset in stretch for stretch in owed):
                    text = f"{place.epoch}/{place.offset} was acknowledged and did not come"
                if text is not None:
                    wrong.append(Violation(Wrong.LOST, ledger.client, room, text))
    return wrong


def _live(stints: Sequence[Stint], same: Same) -> list[tuple[float, set[object]]]:
    """Without history: when a stint that has not ended began, and what came in it."""
    return [
        (stint.began, {same(line.message) for line in stint.lines if isinstance(line, Got)})
        for stint in stints
        if stint.ended is None
        and stint.epoch is None
        and not stint.implicit
        and not any(isinstance(line, Dropped) for line in stint.lines)
    ]


def caught_up(ledgers: Iterable[Ledger], tops: Mapping[str, Position]) -> list[Violation]:
    """Once all is quiet: who is in one of these rooms has come to where the room is.

    For rooms in which nothing is left out on purpose; `tops` is what the history of each says now.
    """
    return [
        Violation(Wrong.BEHIND, ledger.client, room, f"stands at {stint.position}, and the room at {top}")
        for ledger in ledgers
        for room, top in tops.items()
        for stint in ledger.stints.get(room, ())[-1:]
        if stint.ended is None and stint.position != top
    ]


def announced(ledgers: Iterable[Ledger]) -> list[Violation]:
    """Nobody comes who is there or goes who is not, and nobody is told of itself.

    The first notice of each user after a join may repeat what `members` said: both were read at about the same time.
    """
    wrong: list[Violation] = []
    for ledger in ledgers:
        for room, stints in ledger.stints.items():
            for stint in stints:
                there = set(stint.members or ())
                heard: set[str] = set()
                for line in stint.lines:
                    if not isinstance(line, Came | Went):
                        continue
                    came = isinstance(line, Came)
                    if line.user == ledger.user:
                        wrong.append(Violation(Wrong.PRESENCE, ledger.client, room, f"told of itself: {line}"))
                    elif line.user in heard and came == (line.user in there):
                        wrong.append(Violation(Wrong.PRESENCE, ledger.client, room, f"{line}, again"))
                    heard.add(line.user)
                    (there.add if came else there.discard)(line.user)
    return wrong


def present(ledgers: Iterable[Ledger], room: str, users: Collection[str]) -> list[Violation]:
    """Once all is quiet: who is in the room believes that exactly these are."""
    wrong: list[Violation] = []
    for ledger, stint in _in_now(ledgers, room):
        there = set(stint.members or ())
        for line in stint.lines:
            if isinstance(line, Came):
                there.add(line.user)
            elif isinstance(line, Went):
                there.discard(line.user)
        mistakes = [f"believes {user} there, who is not" for user in sorted(there - set(users))]
        mistakes += [f"does not know that {user} is there" for user in sorted(set(users) - there)]
        wrong += [Violation(Wrong.PRESENCE, ledger.client, room, what) for what in mistakes]
    return wrong


def gone_once(ledgers: Iterable[Ledger], room: str, users: Collection[str]) -> list[Violation]:
    """Who is in the room and saw these users there saw each of them go, exactly once."""
    wrong: list[Violation] = []
    for ledger, stint in _in_now(ledgers, room):
        there = set(stint.members or ()) | {line.user for line in stint.lines if isinstance(line, Came)}
        gone = Counter(line.user for line in stint.lines if isinstance(line, Went))
        mistakes = [f"{user} went {gone[user]} times" for user in sorted(set(users) & there) if gone[user] != 1]
        wrong += [Violation(Wrong.PRESENCE, ledger.client, room, what) for what in mistakes]
    return wrong


def _in_now(ledgers: Iterable[Ledger], room: str) -> Iterator[tuple[Ledger, Stint]]:
    for ledger in ledgers:
        for stint in ledger.stints.get(room, ())[-1:]:
            if stint.ended is None:
                yield ledger, stint
