"""Nothing lost, nothing twice, one order for all, whatever goes wrong.

    LEDGER_SEED=7 LEDGER_SECONDS=600 pytest tests/soak/test_ledger.py -k everything -s

does what a failure has printed again; `make soak` runs it for ten minutes.
"""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.kit.proxies import Nginx
from tests.soak.disturber import REFUSALS, Disturbance, Kind, plan
from tests.soak.performance import ROOMS, Performance

SECONDS = float(os.environ.get("LEDGER_SECONDS", "30"))
#: With this one every kind has its turn in the time that there is.
FIXED = 2175
#: That of a run in which a service that started while scripts were refused lost what it sent. The long run takes any.
ONCE_LOST = 3956557585
SEED = int(os.environ.get("LEDGER_SEED", random.randrange(2**32) if "LEDGER_SECONDS" in os.environ else ONCE_LOST))

#: Seconds, and kinds.
REASONS = {
    "workers": (
        10,
        [Kind.KILL_WORKER, Kind.END_WORKER, Kind.SERVED_ENOUGH, Kind.SECOND_SERVICE, Kind.RELOAD_NGINX],
    ),
    "Valkey": (12, [Kind.KILL_VALKEY, Kind.FREEZE_VALKEY]),
    "connections": (12, [Kind.KILL_SUBSCRIBERS, Kind.SHRINK_BUFFER, Kind.DELAY, Kind.BLACKHOLE, Kind.RESET]),
    "refusals": (20, [Kind.FAIL_OVER, *REFUSALS]),
    "forgetting": (10, [Kind.DELETE_STREAM, Kind.DELETE_META, Kind.FLUSH_SCRIPTS]),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("reason", REASONS)
async def test_nothing_is_lost_for_one_reason(tmp_path: Path, reason: str) -> None:
    seconds, kinds = REASONS[reason]
    await perform(tmp_path, int(os.environ.get("LEDGER_SEED", FIXED)), seconds, possible(kinds), clients=40)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
async def test_nothing_is_lost_when_everything_goes_wrong(tmp_path: Path) -> None:
    await perform(tmp_path, SEED, SECONDS, possible(list(Kind)), clients=100)


def test_each_kind_is_played_for_its_reason() -> None:
    played = {each.kind for seconds, kinds in REASONS.values() for each in planned(FIXED, seconds, kinds)}
    assert played == set(Kind)


async def perform(directory: Path, seed: int, seconds: float, kinds: list[Kind], *, clients: int) -> None:
    disturbances = planned(seed, seconds, kinds)
    performance = Performance(directory, seed=seed, clients=clients, nginx=Kind.RELOAD_NGINX in kinds)
    story = await performance.run(lambda running: running.disturber.carry_out(disturbances))
    print(story)  # noqa: T201 - what a long run is for


def planned(seed: int, seconds: float, kinds: list[Kind]) -> list[Disturbance]:
    return plan(seed=seed, seconds=seconds, kinds=kinds, rooms=ROOMS, workers=3)


def possible(kinds: list[Kind]) -> list[Kind]:
    """All that is not missing on this machine: of several kinds only nginx is, and in CI it has to be there."""
    if shutil.which(Nginx.program) or os.environ.get("CI"):
        return kinds
    print(f"no {Nginx.program} on this machine: nothing went through it (install it)")  # noqa: T201
    return [kind for kind in kinds if kind is not Kind.RELOAD_NGINX]
