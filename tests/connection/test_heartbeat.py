from hypothesis import given
from hypothesis import strategies as st

from hubbub.connection.heartbeat import Beat, Pulse
from hubbub.options import Heartbeat

SHORT = Heartbeat(interval=25.0, timeout=10.0)
LONG = Heartbeat(interval=2.0, timeout=5.0)


def test_a_ping_is_due_an_interval_after_the_beginning() -> None:
    pulse = Pulse(SHORT, 100.0)
    assert pulse.due == 125.0
    assert pulse.tick(100.0) is Beat.NOTHING
    assert pulse.tick(124.9) is Beat.NOTHING
    assert pulse.tick(125.0) is Beat.PING


def test_a_ping_is_asked_for_once() -> None:
    pulse = Pulse(SHORT, 0.0)
    assert pulse.tick(25.0) is Beat.PING
    assert pulse.tick(25.0) is Beat.NOTHING
    assert pulse.tick(34.9) is Beat.NOTHING


def test_without_an_answer_the_peer_is_dead_after_the_timeout() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.tick(25.0)
    assert pulse.due == 35.0
    assert pulse.tick(34.999) is Beat.NOTHING
    assert pulse.tick(35.0) is Beat.DEAD


def test_the_dead_stay_dead() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.tick(25.0)
    assert [pulse.tick(now) for now in (35.0, 36.0, 50.0, 75.0)] == [Beat.DEAD] * 4


def test_whatever_is_heard_answers_the_ping() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.tick(25.0)
    pulse.heard()
    assert pulse.due == 50.0
    assert pulse.tick(35.0) is Beat.NOTHING
    assert pulse.tick(50.0) is Beat.PING


def test_what_was_heard_before_the_ping_does_not_answer_it() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.heard()
    assert pulse.tick(25.0) is Beat.PING
    assert pulse.tick(35.0) is Beat.DEAD


def test_a_peer_that_talks_is_pinged_all_the_same() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.heard()
    assert pulse.due == 25.0


def test_with_a_timeout_over_the_interval_pings_go_on_and_the_first_unanswered_one_counts() -> None:
    pulse = Pulse(LONG, 0.0)
    assert [pulse.tick(float(now)) for now in range(1, 8)] == [
        Beat.NOTHING,
        Beat.PING,
        Beat.NOTHING,
        Beat.PING,
        Beat.NOTHING,
        Beat.PING,
        Beat.DEAD,
    ]


def test_after_a_late_tick_pings_do_not_come_in_a_row() -> None:
    pulse = Pulse(SHORT, 0.0)
    assert pulse.tick(100.0) is Beat.PING
    assert pulse.due == 110.0  # the answer's time begins with the ping, however late
    pulse.heard()
    assert pulse.due == 125.0
    assert pulse.tick(101.0) is Beat.NOTHING


def test_who_looks_much_too_late_gives_the_peer_its_time_once_more() -> None:
    pulse = Pulse(SHORT, 0.0)
    assert pulse.tick(25.0) is Beat.PING
    assert pulse.tick(40.0) is Beat.NOTHING  # due at 35: we were held up, and the answer may be waiting to be read
    assert pulse.tick(49.9) is Beat.NOTHING
    assert pulse.tick(66.0) is Beat.DEAD  # once is an excuse, twice is not


def test_an_answer_that_was_waiting_to_be_read_saves_the_peer() -> None:
    pulse = Pulse(SHORT, 0.0)
    pulse.tick(25.0)
    assert pulse.tick(40.0) is Beat.NOTHING
    pulse.heard()
    assert pulse.tick(50.0) is Beat.PING
    assert pulse.tick(65.0) is Beat.NOTHING  # excused anew


times = st.floats(0.1, 60)


@given(times, times, st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60))
def test_due_is_when_a_tick_has_something_to_say(
    interval: float, timeout: float, life: list[tuple[float, bool]]
) -> None:
    pulse = Pulse(Heartbeat(interval=interval, timeout=timeout), 0.0)
    now, unanswered, excused = 0.0, None, False
    for pause, talks in life:
        due, now = pulse.due, now + pause
        beat = pulse.tick(now)
        over = unanswered is not None and now >= unanswered + timeout
        if over and not excused and now >= unanswered + timeout + timeout / 2:
            unanswered, excused, over = now, True, False
        else:
            assert (beat is not Beat.NOTHING) == (now >= due)
        assert (beat is Beat.DEAD) == over
        if beat is Beat.PING and unanswered is None:
            unanswered = now
        if beat is Beat.DEAD:
            return
        if talks:
            pulse.heard()
            unanswered, excused = None, False
