"""When the dashboard's next numbers are due."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.showcase.dashboard import _EVERY, _until_next


@given(st.floats(min_value=0, max_value=4e9))
@example(0.0)
@example(2.0)
@example(math.nextafter(2.0, 0))
@example(math.nextafter(1_800_000_000.0, 0))
@example(1_799_999_999.81)
def test_no_numbers_come_right_after_others(now: float) -> None:
    wait = _until_next(now)
    assert _EVERY / 10 < wait <= _EVERY * 1.1
    # And they come at whole periods of everybody's clock, whoever sends them.
    beside = (now + wait) % _EVERY
    assert min(beside, _EVERY - beside) < 1e-6
