import pytest

from hubbub.scheduling.waker import Waker
from hubbub.testing import ManualClock


class Ticked:
    def __init__(self) -> None:
        self.at: list[float] = []

    def tick(self, now: float) -> None:
        self.at.append(now)


def test_each_is_woken_at_its_time_by_one_alarm() -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    early, late, never = Ticked(), Ticked(), Ticked()
    waker.wake_at(late, 110.0)
    waker.wake_at(early, 105.0)
    waker.wake_at(never, 107.0)
    waker.forget(never)
    waker.forget(never)
    assert clock.alarms == [105.0]
    assert len(waker) == 2
    clock.move(4.9)
    assert not early.at
    clock.move(0.1)
    assert (early.at, late.at) == ([105.0], [])
    clock.move(5.0)
    assert (early.at, late.at, never.at) == ([105.0], [110.0], [])
    assert len(waker) == 0
    assert clock.alarms == []


def test_a_time_is_moved() -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    one = Ticked()
    waker.wake_at(one, 105.0)
    waker.wake_at(one, 120.0)
    clock.move(5.0)
    assert not one.at
    clock.move(14.5)
    assert not one.at
    waker.wake_at(one, 119.7)  # never early, at most a resolution late
    clock.move(0.3)
    assert not one.at
    clock.move(0.2)
    assert one.at == [120.0]


def test_a_tick_may_ask_for_the_next() -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)

    class Again(Ticked):
        def tick(self, now: float) -> None:
            super().tick(now)
            if len(self.at) < 3:
                waker.wake_at(self, now + 1)

    again = Again()
    waker.wake_at(again, 101.0)
    for _ in range(5):
        clock.move(1.0)
    assert again.at == [101.0, 102.0, 103.0]


def test_a_stopped_waker_wakes_nobody() -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    waker.stop()
    one = Ticked()
    waker.wake_at(one, 101.0)
    waker.stop()
    clock.move(10.0)
    assert not one.at


def test_nobody_sleeps_for_longer_than_an_hour() -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    month, hour = Ticked(), Ticked()
    waker.wake_at(month, 100.0 + 30 * 86400)
    assert clock.alarms == [3700.0]
    waker.wake_at(hour, 3700.0)
    clock.move(3599.0)
    assert not month.at
    clock.move(1.0)
    assert month.at == hour.at == [3700.0]
    assert waker.buckets == 0


def test_one_that_fails_holds_up_nobody_and_is_woken_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(start=100.0)
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)

    class Broken(Ticked):
        def tick(self, now: float) -> None:
            super().tick(now)
            if len(self.at) == 1:
                raise RuntimeError("a metric of the application's")

    broken, others = Broken(), [Ticked() for _ in range(3)]
    for one in (others[0], broken, *others[1:]):
        waker.wake_at(one, 105.0)
    waker.wake_at(others[0], 120.0)
    clock.move(5.0)
    assert [one.at for one in others] == [[], [105.0], [105.0]]
    clock.move(15.0)
    assert others[0].at == [120.0]
    assert len(broken.at) == 2
    assert len(caplog.records) == 1
