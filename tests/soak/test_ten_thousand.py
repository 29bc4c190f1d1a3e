"""Ten thousand connections that talk, on one worker and on three: all are answered, one broadcast reaches all.

The heartbeat is at its default, and no time is asserted: p99 is printed. In CI three workers have all ten thousand, and
one has a fifth of them, which takes half a minute less; C10K=10000 gives it as many.
"""

import os
from pathlib import Path

import httpx
import pytest
from benchmarks.crowds import Crowds

from tests.kit.running import Served

SECRET = "signs the tokens of ten thousand on loopback"
ROOT = Path(__file__).parents[2]
MANY = 10_000
ALONE = int(os.environ.get("C10K", "2000"))


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workers", "count"), [(1, ALONE), (3, MANY)])
def test_all_are_answered_and_one_broadcast_reaches_all(workers: int, count: int) -> None:
    arguments = ["benchmarks.crowded:app", "--workers", str(workers), "--no-access-log"]
    environment = {"HUBBUB_SECRET": SECRET}
    with (
        Served(*arguments, cwd=ROOT, env=environment, ready="/health/ready") as server,
        Crowds(int(server.url.rpartition(":")[2]), count, secret=SECRET, rooms=["kept:all"], processes=1) as crowd,
    ):
        took = crowd.come(128)
        answered, p50, p99 = crowd.talk()
        assert answered == count
        said = httpx.post(f"{server.url}/say/kept:all", json={"number": 1}, trust_env=False, timeout=60)
        assert said.json() == {"offset": 1}
        state = crowd.until(lambda now: now.heard.get(1, (0, 0.0))[0] >= count, "all have heard it", within=120)
        assert state.heard[1][0] == count
        assert state.inside == count
        assert state.wrong == []
        assert not any(what.startswith(("closed", "refused", "given_up")) for what in state.counts), state.counts
        stats = httpx.get(f"{server.url}/stats", trust_env=False, timeout=60).json()
        assert len(stats["workers"]) == workers
    print(f"{count:,} on {workers}: {count / took:,.0f} handshakes a second, answers p50 {p50:.3f} s, p99 {p99:.3f} s")  # noqa: T201
