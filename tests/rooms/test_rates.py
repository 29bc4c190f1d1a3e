"""What may be published to a topic, by whom, and that nothing is remembered of those who may again."""

import asyncio
from collections.abc import Iterator

import pytest

from hubbub import ConfigurationError, Hub, Limits, Rate, RoomRate
from hubbub.errors import RateLimited
from hubbub.hub.settings import usual_room_rate
from hubbub.ports.metrics import Count, Tally
from hubbub.rooms.rates import PUBLISHER, RoomRates
from hubbub.testing import ManualClock
from hubbub.types import Topic, UserId

ROOM = Topic("room:a")
USUAL = RoomRate(messages=10, burst=8, bytes=1_000, burst_bytes=800)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def rates(clock: ManualClock) -> RoomRates:
    return RoomRates(USUAL, clock, Tally())


@pytest.fixture
def ann() -> Iterator[None]:
    PUBLISHER.set(UserId("ann"))
    yield
    PUBLISHER.set(None)


def passed(rates: RoomRates, *, declared: RoomRate | None = None, size: int = 1, topic: Topic = ROOM) -> int:
    """How many go through at once, of a hundred."""
    rate = rates.of(declared)
    assert rate is not None
    return sum(rate.spend(topic, size) == 0.0 for _ in range(100))


@pytest.mark.usefixtures("ann")
def test_one_publisher_has_half_of_what_is_regained_and_leaves_the_other_half_to_the_others(
    rates: RoomRates, clock: ManualClock
) -> None:
    assert passed(rates) == 8
    PUBLISHER.set(UserId("bob"))
    assert passed(rates) == 0
    clock.move(0.4)
    PUBLISHER.set(UserId("ann"))
    assert passed(rates) == 2
    PUBLISHER.set(UserId("bob"))
    assert passed(rates) == 2


@pytest.mark.usefixtures("ann")
def test_what_others_left_no_room_for_costs_a_publisher_nothing(rates: RoomRates, clock: ManualClock) -> None:
    assert passed(rates) == 8
    PUBLISHER.set(UserId("bob"))
    assert passed(rates) == 0
    clock.move(1.0)
    assert passed(rates) == 8


@pytest.mark.usefixtures("ann")
def test_bytes_count_as_well(rates: RoomRates) -> None:
    assert passed(rates, size=150) == 6


def test_the_application_is_bounded_where_it_declared_a_rate_and_nowhere_else(rates: RoomRates) -> None:
    assert passed(rates) == 100
    assert len(rates) == 0
    assert passed(rates, declared=RoomRate(messages=1, burst=5)) == 5
    assert RoomRates(None, ManualClock(), Tally()).of(None) is None


@pytest.mark.usefixtures("ann")
def test_of_those_who_may_again_nothing_is_remembered(rates: RoomRates, clock: ManualClock) -> None:
    for number in range(100):
        passed(rates, topic=Topic(f"room:{number}"))
        PUBLISHER.set(UserId(f"user{number}"))
        passed(rates)
        clock.move(10)
    assert len(rates) <= 3
    assert len(rates.topics[ROOM].publishers) <= 3


async def test_who_is_refused_is_told_when_and_counted_and_the_log_is_bounded(
    rates: RoomRates, caplog: pytest.LogCaptureFixture
) -> None:
    rate = rates.of(RoomRate(messages=2, burst=1))
    assert rate is not None
    await rate.spend_patiently(ROOM, 1, 0.0)
    for _ in range(20):
        with pytest.raises(RateLimited) as refused:
            await rate.spend_patiently(ROOM, 1, 0.1)
        assert refused.value.retry_after == 500
    rates.stop()
    assert len(caplog.records) == 6
    assert "15 more" in caplog.text


async def test_patience_waits_for_what_is_regained() -> None:
    loop = asyncio.get_running_loop()
    clock = ManualClock()
    rate = RoomRates(None, clock, Tally()).of(RoomRate(messages=100, burst=1))
    assert rate is not None
    assert await rate.spend_patiently(ROOM, 1, 0.0) == 0.0
    loop.call_soon(clock.move, 0.01)
    left = await rate.spend_patiently(ROOM, 1, 30.0)
    assert 0 < left < 30


def test_the_usual_rate_fits_the_outbox_and_there_is_none_in_development(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usual_room_rate(Limits(), None) == usual_room_rate(Limits(), Rate(messages=1, burst=1)) == RoomRate()
    faster = RoomRate(messages=10_000, bytes=10 * 256 * 1024, burst=5_000)
    assert usual_room_rate(Limits(), Rate(messages=1_000, burst=500)) == faster
    small = usual_room_rate(Limits(outbox=4_000, payload=2_000), None)
    assert small is not None
    assert (small.bytes, small.burst_bytes) == (1_000, 2_000)
    monkeypatch.setenv("HUBBUB_DEV", "1")
    assert usual_room_rate(Limits(), None) is None


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (RoomRate(burst_bytes=2**20 + 1), "RoomRate.burst_bytes is 1048577, more than Limits.outbox, 1048576"),
        ("fast", "rate is a RoomRate or None, not 'fast'"),
    ],
)
def test_a_rate_that_cannot_work_is_refused_where_it_is_declared(rate: RoomRate, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):

        @Hub("memory").rooms("a", rate=rate)
        async def anybody() -> bool:
            return True


def test_a_rate_that_cannot_work_is_refused_of_the_hub() -> None:
    with pytest.raises(ConfigurationError, match=r"RoomRate\.burst_bytes"):
        Hub("memory", room_rate=RoomRate(burst_bytes=2**21))
    with pytest.raises(ValueError, match=r"RoomRate\.burst must be at least 1, not 0\.5"):
        RoomRate(burst=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"RoomRate\.messages must be finite"):
        RoomRate(messages=float("inf"))


def test_it_is_counted() -> None:
    tally = Tally()
    RoomRates(USUAL, ManualClock(), tally).refuse(ROOM, 1.0)
    assert tally.counts[Count.PUBLISHING_LIMITED] == 1
