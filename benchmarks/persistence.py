"""What it costs to have on disk what is kept: the embedded Valkey without, with a second's delay, and with none.

    python -m benchmarks.persistence

prints the time of one message after another and how many a second go through with 64 under way, and what that is to
those of a server that writes nothing. The directory is one of the system's for temporary files; `TMPDIR` names another
disk.
"""

import asyncio
import statistics
import tempfile
import time

from redis import Redis

from hubbub.brokers.data_directory import DataDirectory
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.options import History
from hubbub.types import Topic

_KEEP = History(size=1_000, ttl=3600)
_MESSAGE = b"x" * 200
_ROUNDS, _ONE_BY_ONE, _AT_ONCE, _EACH = 5, 300, 64, 60
_POLICIES = {"nothing": ("no", "everysec"), "everysec": ("yes", "everysec"), "always": ("yes", "always")}


async def one_after_another(broker: RedisBroker) -> float:
    """Seconds of one, the median."""
    took = []
    for _ in range(_ONE_BY_ONE):
        begun = time.perf_counter()
        await broker.publish(Topic("room:one"), _MESSAGE, keep=_KEEP)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def many_at_once(broker: RedisBroker) -> float:
    """Messages a second, in as many rooms as are under way."""

    async def publish(room: int) -> None:
        for _ in range(_EACH):
            await broker.publish(Topic(f"room:{room}"), _MESSAGE, keep=_KEEP)

    begun = time.perf_counter()
    await asyncio.gather(*map(publish, range(_AT_ONCE)))
    return _AT_ONCE * _EACH / (time.perf_counter() - begun)


def set_policy(client: Redis, policy: str) -> None:
    append_only, fsync = _POLICIES[policy]
    client.config_set("appendfsync", fsync)
    client.config_set("appendonly", append_only)
    while client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.05)


async def measure(url: str) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {policy: [] for policy in _POLICIES}
    broker = RedisBroker(url)
    await broker.start(lambda *_: None, lambda: None, lambda _: None)
    try:
        with Redis.from_url(url) as client:
            for _ in range(_ROUNDS):
                for policy, figures in found.items():
                    set_policy(client, policy)
                    figures.append((await one_after_another(broker), await many_at_once(broker)))
    finally:
        await broker.stop()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        data = DataDirectory(directory)
        data.open()
        with EmbeddedValkey(data=data) as valkey:
            found = asyncio.run(measure(valkey.url))
        data.close()
    medians = {
        policy: tuple(statistics.median(each) for each in zip(*figures, strict=True))
        for policy, figures in found.items()
    }
    once, rate = medians["nothing"]
    print(f"{'on disk':<10}{'one takes':>12}{'ratio':>8}{'64 at once':>14}{'ratio':>8}")
    for policy, (took, a_second) in medians.items():
        figures = f"{took * 1000:>9.2f} ms{took / once:>8.1f}{a_second:>12,.0f}/s{a_second / rate:>8.2f}"
        print(f"{policy:<10}{figures}")


if __name__ == "__main__":
    main()
