"""A broker that was killed has not got the last of what it acknowledged: who has seen it is told, and nobody else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from hubbub.brokers.data_directory import AOF_DIRECTORY, DataDirectory
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from tests.integration.faults.hubs import ROOM, worker
from tests.kit.broker_servers import kill
from tests.kit.waiting import until


@contextmanager
def keeping(path: Path) -> Iterator[EmbeddedValkey]:
    data = DataDirectory(path)
    data.open()
    try:
        with EmbeddedValkey(data=data) as valkey:
            yield valkey
    finally:
        data.close()


async def test_a_position_beyond_what_is_kept_is_told(tmp_path: Path) -> None:
    with keeping(tmp_path) as valkey:
        async with worker(RedisBroker(valkey.url)) as one:
            await until(lambda: one.hub.ready, "it is ready")
            kept = await one.hub.room(ROOM).send({"type": "m", "n": 1})
            with Redis.from_url(valkey.url) as client:
                client.set("this", "too")
                client.execute_command("WAITAOF", 1, 0, 0)
            [file] = (tmp_path / AOF_DIRECTORY).glob("*.incr.aof")
            size = file.stat().st_size
            lost = await one.hub.room(ROOM).send({"type": "m", "n": 2})
            kill(valkey)
    assert kept is not None
    assert lost is not None
    os.truncate(file, size)
    with keeping(tmp_path) as valkey:
        async with worker(RedisBroker(valkey.url)) as one:
            await until(lambda: one.hub.ready, "it is ready")
            async with one.client("ann") as ann, one.client("bob") as bob:
                for client, since, recovered in ((ann, lost, False), (bob, kept, True)):
                    joined = await client.join(ROOM, since=since)
                    assert (joined["recovered"], joined["epoch"], joined["offset"]) == (recovered, kept.epoch, 1)
                again = await one.hub.room(ROOM).send({"type": "m", "n": 3})
                assert again == lost, "the offset is given anew, which is why who had it has to be told"
                for client in (ann, bob):
                    await client.receive("m", n=3, offset=2)
