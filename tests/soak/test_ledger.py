"""Nothing lost, nothing twice, one order for all, whatever goes wrong.

    LEDGER_SEED=7 LEDGER_SECONDS=600 pytest tests/soak/test_ledger.py -k everything -s

does what a failure has printed again; `make soak` runs it for ten minutes.
"""

import os
import random
from pathlib import Path

import pytest

from tests.soak.disturber import REFUSALS, Kind, plan
from tests.soak.performance import ROOMS, Performance

SECONDS = float(os.environ.get("LEDGER_SECONDS", "30"))
SEED = int(os.environ.get("LEDGER_SEED", random.randrange(2**32)))

REASONS = {
    "workers": [Kind.KILL_WORKER, Kind.END_WORKER],
    "Valkey": [Kind.KILL_VALKEY, Kind.FREEZE_VALKEY],
    "connections": [Kind.KILL_SUBSCRIBERS, Kind.SHRINK_BUFFER, Kind.DELAY, Kind.BLACKHOLE, Kind.RESET],
    "refusals": [Kind.FAIL_OVER, *REFUSALS],
    "forgetting": [Kind.DELETE_STREAM, Kind.DELETE_META, Kind.FLUSH_SCRIPTS],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("reason", REASONS)
async def test_nothing_is_lost_for_one_reason(tmp_path: Path, reason: str) -> None:
    await perform(tmp_path, 14, REASONS[reason], clients=40)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
async def test_nothing_is_lost_when_everything_goes_wrong(tmp_path: Path) -> None:
    await perform(tmp_path, SECONDS, list(Kind), clients=100)


async def perform(directory: Path, seconds: float, kinds: list[Kind], *, clients: int) -> None:
    planned = plan(seed=SEED, seconds=seconds, kinds=kinds, rooms=ROOMS, workers=3)
    performance = Performance(directory, seed=SEED, clients=clients)
    story = await performance.run(lambda running: running.disturber.carry_out(planned))
    print(story)  # noqa: T201 - what a long run is for
