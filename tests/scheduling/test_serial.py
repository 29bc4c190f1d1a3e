"""One piece of work at a time, in order, at once where it can be, else by a task that is there only while it waits."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

import pytest

from hubbub.scheduling.serial import Serial
from hubbub.scheduling.tasks import Background, Begin
from hubbub.testing import settle
from tests.kit.loop import called


def beginning(background: Background, *, spawning: bool) -> Begin:
    return (lambda work, _=None: background.spawn(work)) if spawning else background.begin


class Work:
    """Pieces that wait at the gate, but for those below 0: what was begun, and what was done."""

    def __init__(self, *, limit: int, spawning: bool = False) -> None:
        self.background, self.gate = Background(), asyncio.Event()
        self.begun: list[int] = []
        self.done: list[int] = []
        begin = beginning(self.background, spawning=spawning)
        self.turns: Serial[Work, int] = Serial(begin, Work.do, self, limit=limit, context=Context())

    async def do(self, piece: int) -> None:
        assert len(self.begun) == len(self.done)
        self.begun.append(piece)
        if piece >= 0:
            await self.gate.wait()
        self.done.append(piece)

    async def take(self, *pieces: int) -> list[bool]:
        return await called(lambda: [self.turns.submit(piece) for piece in pieces])

    @property
    def idle(self) -> bool:
        return self.turns.idle and not len(self.background)


@pytest.mark.parametrize("spawning", [False, True])
async def test_in_order_and_bounded(*, spawning: bool) -> None:
    work = Work(limit=2, spawning=spawning)
    # The first is not waiting behind anything.
    assert await work.take(0, 1, 2, 3) == [True, True, True, False]
    await settle()
    assert work.begun == [0]
    assert await work.take(4) == [False]
    work.gate.set()
    await settle()
    assert work.done == [0, 1, 2]
    assert work.idle
    work.gate.clear()
    assert await work.take(5) == [True]
    await settle()
    assert await work.take(6, 7, 8) == [True, True, False]
    work.turns.clear()
    assert await work.take(9) == [True]
    work.gate.set()
    await settle()
    assert work.done == [0, 1, 2, 5, 9]
    assert work.idle


async def test_what_waits_for_nothing_is_done_when_it_was_taken() -> None:
    work = Work(limit=2)

    def take() -> None:
        for piece in range(-1, -100, -1):
            assert work.turns.submit(piece)
            assert work.done[-1] == piece
            assert work.idle

    await called(take)
    assert work.done == list(range(-1, -100, -1))


async def test_what_waits_for_nothing_keeps_its_place_behind_what_waits() -> None:
    work = Work(limit=5001)
    assert all(await work.take(0, *range(-1, -5000, -1), 1, -5000))
    assert (work.begun, work.done) == ([0], [])
    work.gate.set()
    await settle()
    # As many as that one after the other: none of them within another.
    assert work.done == [0, *range(-1, -5000, -1), 1, -5000]
    assert work.idle


async def test_what_comes_in_the_middle_of_a_piece_waits_for_its_end() -> None:
    background = Background()
    done: list[str] = []

    def do(_: None, piece: int) -> Coroutine[Any, Any, None]:
        return work(piece)

    turns: Serial[None, int] = Serial(background.begin, do, None, limit=2, context=Context())

    async def work(piece: int) -> None:
        done.append(f"{piece} begins")
        if piece < 3:
            assert turns.submit(piece + 1)
        if piece == 1:
            await asyncio.sleep(0)
        done.append(f"{piece} ends")

    await called(lambda: turns.submit(0))
    await settle()
    assert done == [f"{piece} {what}" for piece in range(4) for what in ("begins", "ends")]
    assert turns.idle
    assert not len(background)


@pytest.mark.parametrize("spawning", [False, True])
async def test_a_piece_that_fails_does_not_stop_what_comes_later(*, spawning: bool) -> None:
    done: list[int] = []

    async def do(_: None, piece: int) -> None:
        if piece == 0:
            raise asyncio.CancelledError
        done.append(piece)

    background = Background()
    begin = beginning(background, spawning=spawning)
    turns: Serial[None, int] = Serial(begin, do, None, limit=2, context=Context())
    assert await called(lambda: [turns.submit(0), turns.submit(1)]) == [True, True]
    await settle()
    assert done == [1]
    assert turns.submit(2)
    await settle()
    assert done == [1, 2]
