"""When the stream is another than it was."""

import logging

import pytest

from hubbub.protocol.join_room import Since
from hubbub.testing import settle
from hubbub.types import Position
from tests.kit.one_room import TOPIC, OneRoom


async def test_another_epoch_that_shows_by_a_message_is_told_as_a_gap_from_nothing() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.stream.begin_anew()
    s.lose(2)
    s.publish()
    s.publish()
    assert s.offsets == [1, ("e2", 0, 2), 3, 4]
    assert s.broker.reads == 1


async def test_another_epoch_that_shows_by_a_look_is_told_as_a_gap_from_nothing() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.stream.begin_anew()
    s.lose(2)
    s.positions.missed(TOPIC)
    await settle()
    s.publish()
    assert s.offsets == [1, ("e2", 0, 2), 3]


async def test_a_look_that_is_older_than_the_epoch_that_was_heard_is_not_believed() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.broker.at_once = False
    await s.rounds(30)
    [asked] = s.broker.pending
    s.broker.do(asked)
    s.stream.begin_anew()
    s.publish()
    s.broker.answer(asked)
    await settle()
    assert s.offsets == [1, ("e2", 0, 0), 1]
    s.publish()
    assert s.offsets[3:] == [2]


async def test_a_stream_that_went_back_goes_on_under_another_epoch(caplog: pytest.LogCaptureFixture) -> None:
    """After a failover to an older replica, whose offsets are given away twice."""
    s = OneRoom()
    await s.join()
    for _ in range(5):
        s.publish()
    s.stream.go_back(2)
    s.positions.resumed()
    with caplog.at_level(logging.WARNING):
        await settle()
    assert s.stream.epoch == "e2"
    s.publish()
    assert s.offsets == [1, 2, 3, 4, 5, ("e2", 0, 3), 4]
    assert len(caplog.records) == 1
    found = await s.join(Since("e1", 5))
    assert (found.position, found.recovered) == (Position("e2", 4), False)


@pytest.mark.parametrize("grown", [2, 3, 7])
async def test_a_stream_that_went_back_and_grew_again_is_known_by_what_stands_there(grown: int) -> None:
    """Others went on before this worker looked: the offset alone would say that nothing, or little, was missed."""
    s = OneRoom()
    await s.join()
    for _ in range(5):
        s.publish()
    s.stream.go_back(2)
    s.lose(grown)
    s.positions.resumed()
    await settle()
    s.publish()
    assert s.offsets == [1, 2, 3, 4, 5, ("e2", 0, 3 + grown), 4 + grown]


async def test_a_stream_that_others_turn_meanwhile_is_turned_once() -> None:
    s = OneRoom()
    await s.join()
    for _ in range(5):
        s.publish()
    s.stream.go_back(2)
    s.broker.at_once = False
    s.positions.resumed()
    await settle()
    s.broker.answer_all()
    await settle()
    s.stream.turn_back("e1")
    s.broker.answer_all()
    await settle()
    assert s.stream.epoch == "e2"
    assert s.offsets == [1, 2, 3, 4, 5, ("e2", 0, 3)]
