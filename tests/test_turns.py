"""One piece of work at a time, in order, by a task that is there only while there is some."""

import asyncio

from hubbub.lifecycle import Background
from hubbub.turns import Turns
from tests.scripted import settle


async def test_in_order_and_bounded() -> None:
    background, gate = Background(), asyncio.Event()
    begun: list[int] = []

    async def do(piece: int) -> None:
        begun.append(piece)
        await gate.wait()

    turns: Turns[int] = Turns(background.spawn, do, limit=2)
    # Before the worker has begun, the first is not waiting behind anything.
    assert [turns.take(piece) for piece in range(4)] == [True, True, True, False]
    await settle()
    assert begun == [0]
    assert not turns.take(4)
    gate.set()
    await settle()
    assert begun == [0, 1, 2]
    assert not len(background)
    gate.clear()
    assert turns.take(5)
    await settle()
    assert [turns.take(piece) for piece in (6, 7, 8)] == [True, True, False]
    turns.clear()
    assert turns.take(9)
    gate.set()
    await settle()
    assert begun == [0, 1, 2, 5, 9]
    assert not len(background)


async def test_a_piece_that_fails_does_not_stop_what_comes_later() -> None:
    done: list[int] = []

    async def do(piece: int) -> None:
        if piece == 0:
            raise asyncio.CancelledError
        done.append(piece)

    turns: Turns[int] = Turns(Background().spawn, do, limit=2)
    assert turns.take(0)
    await settle()
    assert turns.take(1)
    await settle()
    assert done == [1]
