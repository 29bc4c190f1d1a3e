"""A topic as the tests of one begin with, and what history answers it."""

from collections.abc import Iterator

from hubbub.history.reads import Effect
from hubbub.history.topic import Bounds, TopicHistory
from hubbub.options import History, Limits
from hubbub.ports.broker import Entry, Past
from hubbub.types import Position

KEEP = History(size=100, ttl=3600)


def topic(*, at: int | None = None, behind: bool = False, buffered: int = 9, per_read: int = 9) -> TopicHistory:
    made = TopicHistory(KEEP, Limits(replay=5), Bounds(per_read=per_read, buffered=buffered))
    if at is not None:
        done(made.end_read(made.begin_read(), past(at)))
    if behind:
        made.doubt()
    return made


def past(top: int, *offsets: int, epoch: str = "e") -> Past:
    return Past(Position(epoch, top), [Entry(offset, b"%d" % offset) for offset in offsets])


def done(effects: Iterator[Effect]) -> list[Effect]:
    return list(effects)
