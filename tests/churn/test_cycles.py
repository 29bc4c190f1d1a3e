"""Who comes and goes leaves nothing: on each loop, with each broker, some of the cycles that `make churn` makes.

Not the slope of the memory, which so few do not tell: that is what the long run is for.
"""

import os

import pytest

from tests.churn.measuring import measure

#: `CHURN_CYCLES=50000` for more.
CYCLES = int(os.environ.get("CHURN_CYCLES", "600"))


@pytest.mark.slow
@pytest.mark.timeout(CYCLES / 25 + 180)
@pytest.mark.parametrize(("loop", "valkey"), [("uvloop", False), ("asyncio", True)])
async def test_what_came_and_went_leaves_nothing(loop: str, valkey: bool) -> None:
    report = await measure(loop, CYCLES, valkey=valkey)
    assert report.wrong == []
    assert report.moved == {}
    assert report.before["loop"] == ("uvloop" if loop == "uvloop" else "asyncio")
    assert report.looks[-1][0] >= CYCLES
