"""An embedded server with a data directory has after its end, its death and a power cut what it was told before."""

import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from hubbub.brokers import data_directory
from hubbub.brokers.data_directory import AOF_DIRECTORY, LOG, DataDirectory
from hubbub.brokers.embedded import EmbeddedValkey, server_binary
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import History
from hubbub.ports.broker import Announcement, Broker, Edges, Renewal
from hubbub.types import ONLINE, Position, Topic
from tests.kit.brokers import started
from tests.kit.running import alive
from tests.kit.waiting import until, wait_for

ROOM = Topic("room:kept")
KEEP = History(size=100, ttl=3600)


@contextmanager
def running(path: Path) -> Iterator[EmbeddedValkey]:
    data = DataDirectory(path)
    data.open()
    try:
        with EmbeddedValkey(data=data) as valkey:
            yield valkey
    finally:
        data.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Broker]:
    async with started(RedisBroker(url)) as worker:
        yield worker.broker


def kill(valkey: EmbeddedValkey) -> None:
    os.kill(valkey.pid, signal.SIGKILL)
    wait_for(lambda: not valkey.alive, what="its death shows")


def test_what_it_was_told_is_there_after_its_end_and_its_death(tmp_path: Path) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert client.config_get("append*")["appendonly"] == "yes"
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.set("first", 1)
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert client.get("first") == b"1"
        client.set("second", 2)
        # Until the disk has the first of these the second may wait for it.
        wait_for(lambda: client.execute_command("WAITAOF", 1, 0, 0)[0] == 1, what="it is on the disk")
        kill(valkey)
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert (client.get("first"), client.get("second")) == (b"1", b"2")


def test_it_writes_nothing_that_others_may_read_and_no_socket(tmp_path: Path) -> None:
    with running(tmp_path) as valkey:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) >= 5
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert not Path(valkey.url.removeprefix("unix://")).is_relative_to(tmp_path)
    assert {path.name.partition("-")[0].partition(".")[0] for path in tmp_path.iterdir()} == {"hubbub"}


def test_a_path_too_long_for_a_socket_is_none_for_data(tmp_path: Path) -> None:
    with running(tmp_path / ("d" * 100) / ("e" * 100)) as valkey:
        assert valkey.alive


def test_after_its_death_it_is_started_again_with_its_data(tmp_path: Path) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert valkey.keeps
        assert not EmbeddedValkey().keeps
        client.set("first", 1)
        client.execute_command("WAITAOF", 1, 0, 0)
        kill(valkey)
        valkey.start()
        assert client.get("first") == b"1"


def test_a_rewrite_that_was_killed_leaves_nothing_beside_what_is_kept(tmp_path: Path) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        for number in range(100):
            client.set(f"k{number}", "x")
        before = {path.name for path in tmp_path.rglob("*")}
        client.config_set("rdb-key-save-delay", 1_000_000)
        client.bgrewriteaof()
        wait_for(lambda: any(path.name.startswith("temp-") for path in tmp_path.rglob("*")), what="it is under way")
        rewriting = psutil.Process(valkey.pid).children()
        kill(valkey)
        for process in rewriting:
            process.kill()
            process.wait(30)
    with running(tmp_path):
        assert {path.name for path in tmp_path.rglob("*")} <= {*before, "hubbub.aof.2.incr.aof"}


def test_nobody_else_gets_its_directory_while_it_lives_on(tmp_path: Path) -> None:
    with running(tmp_path) as valkey:
        with pytest.raises(ConfigurationError, match="in use"):
            DataDirectory(tmp_path).open(within=0)
        if sys.platform == "linux":
            held = [link.readlink() for link in Path(f"/proc/{valkey.pid}/fd").iterdir()]
            assert tmp_path / "hubbub.lock" in held


def test_it_is_there_for_who_comes_right_after_its_parent_was_killed(tmp_path: Path) -> None:
    code = f"""
        import sys
        from hubbub.brokers.data_directory import DataDirectory
        from hubbub.brokers.embedded import EmbeddedValkey
        data = DataDirectory({str(tmp_path)!r})
        data.open()
        valkey = EmbeddedValkey(data=data)
        valkey.start()
        print(valkey.pid, flush=True)
        sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    with running(tmp_path) as valkey:
        assert valkey.alive
        assert not alive(pid)
    if sys.platform == "linux":
        said = [line for line in (tmp_path / LOG).read_text().splitlines() if line.startswith(f"{pid}:")]
        assert "ready to exit" in said[-1], "the disk has all of it"


async def positions(broker: Broker) -> tuple[Position, Position]:
    """Where a room is in which something was said, and one in which nothing was."""
    return (await broker.read(ROOM, KEEP, limit=10)).top, (await broker.read(Topic("room:new"), KEEP, limit=10)).top


async def test_an_end_and_a_death_leave_every_epoch_and_a_power_cut_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            await broker.publish(ROOM, b"one", keep=KEEP)
            before = await positions(broker)
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            assert await positions(broker) == before
            kill(valkey)
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            assert await positions(broker) == before
        kill(valkey)
    monkeypatch.setattr(data_directory, "boot", lambda: "the next")
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            after = await positions(broker)
            assert [position.offset for position in after] == [position.offset for position in before]
            assert not {position.epoch for position in after} & {position.epoch for position in before}
            assert [entry.data for entry in (await broker.read(ROOM, KEEP, limit=10)).entries] == [b"one"]
            assert await broker.publish(ROOM, b"two", keep=KEEP) == Position(after[0].epoch, 2)
        kill(valkey)
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            assert (await positions(broker))[0] == Position(after[0].epoch, 2), "once for each power cut"


async def all_that_is_kept(broker: Broker) -> dict[str, object]:
    """But for positions and messages."""
    return {
        "declared": set((await broker.declared()).words),
        "version": (await broker.declared()).version,
        "revoked": await broker.revoked(0, 10),
        "online": await broker.members(ONLINE),
        "shown": await broker.shown(ONLINE),
        "left": await broker.last_left("bob"),
        "edges": await broker.edges(10),
        "held": await broker.renew("a node", 60) is Renewal.KEPT,
        "key": await broker.publish(ROOM, b"one", keep=KEEP, idempotency_key="key"),
    }


async def test_everything_that_a_broker_is_told_to_keep_is_kept(tmp_path: Path) -> None:
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            await broker.edges(1)
            await broker.renew("a node", 60)
            await broker.declare(b"a word")
            await broker.revoke(b"a token", time.time() + 3600, Announcement(Topic("revoked"), b"a token"))
            for member in ("ann", "bob"):
                await broker.enter(ONLINE, member, "a node", edge=True)
            await broker.show(ONLINE, "ann", "a node", b"busy")
            await broker.leave(ONLINE, "bob", "a node", edge=True)
            await broker.publish(ROOM, b"one", keep=KEEP, idempotency_key="key")
            assert await broker.take_turn("work", "a node", 0.001) == 1
            before = await all_that_is_kept(broker)
            assert await _on_disk(valkey)
            kill(valkey)
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            assert await all_that_is_kept(broker) == before
            assert await broker.take_turn("work", "another", 1.0) == 2
            await broker.enter(ONLINE, "bob", "a node", edge=True)
            assert (await broker.edges(10)).edges[-1].number > before_numbers(before)[-1]
    assert before["held"] is True
    assert (before["online"], before["shown"]) == (["ann"], {"ann": b"busy"})
    assert len(before_numbers(before)) == 3


def before_numbers(kept: dict[str, object]) -> list[int]:
    edges = kept["edges"]
    assert isinstance(edges, Edges)
    return [edge.number for edge in edges.edges]


async def test_a_power_cut_is_told_also_where_memory_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            await broker.publish(ROOM, b"one", keep=KEEP)
            before = await positions(broker)
        kill(valkey)
    monkeypatch.setattr(data_directory, "boot", lambda: "the next")
    data = DataDirectory(tmp_path)
    data.open()
    with EmbeddedValkey(data=data, memory=1024 * 1024) as valkey:
        async with connected(valkey.url) as broker:
            assert (await positions(broker))[0].epoch != before[0].epoch
        with Redis.from_url(valkey.url) as client:
            assert client.config_get("maxmemory") == {"maxmemory": str(1024 * 1024)}
    data.close()


def test_one_that_was_told_to_end_by_whoever_stops_the_machine_has_lost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as valkey:
        os.kill(valkey.pid, signal.SIGTERM)
        wait_for(lambda: not valkey.alive, what="it ends")
    monkeypatch.setattr(data_directory, "boot", lambda: "the next")
    assert not DataDirectory(tmp_path).may_have_lost()
    with running(tmp_path) as valkey:
        kill(valkey)
    monkeypatch.setattr(data_directory, "boot", lambda: "the one after")
    assert DataDirectory(tmp_path).may_have_lost(), "a death is no end in order"


def unable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """From now on servers run under this limit of the shell's."""
    wrapped = tmp_path / "limited"
    wrapped.write_text(f'#!/bin/sh\nulimit {limit}\nexec {server_binary()} "$@"\n')
    wrapped.chmod(0o700)
    monkeypatch.setattr("hubbub.brokers.embedded.server_binary", lambda: wrapped)


def test_a_power_cut_that_cannot_be_told_is_refused_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        for number in range(20):
            client.hset(f"hubbub:{{h:room:{number}}}:meta", "e", "before")
        wait_for(lambda: client.execute_command("WAITAOF", 1, 0, 0)[0] == 1, what="it is on the disk")
        kill(valkey)
    monkeypatch.setattr(data_directory, "boot", lambda: "the next")
    with monkeypatch.context() as patched:
        unable(tmp_path, patched, "-f 0")
        said = f"^{tmp_path}: what is kept may lack its last second.*MISCONF"
        with pytest.raises(ConfigurationError, match=said), running(tmp_path):
            pass
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert b"before" not in {client.hget(f"hubbub:{{h:room:{number}}}:meta", "e") for number in range(20)}


def test_a_system_that_has_no_process_left_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise BlockingIOError(11, os.strerror(11))

    monkeypatch.setattr(subprocess, "Popen", none)
    said = "^the embedded server did not start: Resource temporarily unavailable"
    with pytest.raises(ConfigurationError, match=said), running(tmp_path):
        pass


def test_a_write_that_was_cut_off_in_the_middle_keeps_nothing_from_starting(tmp_path: Path) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        client.set("first", 1)
        client.set("second", 2)
    [file] = (tmp_path / AOF_DIRECTORY).glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 3)
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        assert (client.get("first"), client.get("second")) == (b"1", None)


@pytest.mark.parametrize("what", ["version", "garbage"])
def test_what_it_cannot_read_is_told_with_the_reason_and_left_as_it_is(tmp_path: Path, what: str) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        client.set("first", 1)
    pattern, written, said = {
        "version": ("*.base.rdb", b"REDIS0099", "Can't handle RDB format version 99"),
        "garbage": ("*.incr.aof", b"no AOF", "Bad file format reading the append only file"),
    }[what]
    [file] = (tmp_path / AOF_DIRECTORY).glob(pattern)
    with file.open("r+b") as broken:
        broken.write(written)
    size = file.stat().st_size
    with pytest.raises(ConfigurationError) as refused, running(tmp_path):
        pass
    assert re.match(f"the embedded server did not start with what is kept in {tmp_path}: ", str(refused.value))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert file.stat().st_size == size


def test_reading_what_was_kept_takes_as_long_as_it_takes_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        for number in range(300):
            client.set(f"k{number}", "x" * 4096)
        client.bgrewriteaof()
        wait_for(lambda: list((tmp_path / AOF_DIRECTORY).glob("*.2.base.rdb")), what="it is one file")
        wait_for(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, what="and no other")
    slow = tmp_path / "slow"
    delayed = "--key-load-delay 5000 --loading-process-events-interval-bytes 1024"
    slow.write_text(f'#!/bin/sh\nexec {server_binary()} "$@" {delayed}\n')
    slow.chmod(0o700)
    monkeypatch.setattr("hubbub.brokers.embedded.server_binary", lambda: slow)
    monkeypatch.setattr("hubbub.brokers.embedded._NEWS", 0.1)
    told: list[int] = []
    data = DataDirectory(tmp_path)
    data.open()
    valkey = EmbeddedValkey(data=data, progress=told.append)
    try:
        valkey.start(deadline=1.0)
        with Redis.from_url(valkey.url) as client:
            assert client.dbsize() == 300
    finally:
        valkey.stop()
        data.close()
    assert len(told) > 1
    assert told == sorted(told)
    assert 0 < told[-1] <= 100


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a running process is Linux's")
async def test_a_full_disk_refuses_what_is_to_be_kept_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    import resource

    with running(tmp_path) as valkey:
        async with started(RedisBroker(valkey.url, probe=0.2, silence=10.0)) as worker:
            broker = worker.broker
            await broker.subscribe(ROOM)
            acknowledged = [await broker.publish(ROOM, b"0", keep=KEEP)]
            [file] = (tmp_path / AOF_DIRECTORY).glob("*.incr.aof")
            # What the server writes from now on does not fit; it is told so as by a disk that is full.
            resource.prlimit(valkey.pid, resource.RLIMIT_FSIZE, (file.stat().st_size + 2000, resource.RLIM_INFINITY))

            words: list[str] = []

            async def is_refused() -> bool:
                try:
                    acknowledged.append(await broker.publish(ROOM, b"x" * 100, keep=KEEP))
                except Unavailable as error:
                    words.append(str(error.__cause__))
                return bool(words)

            await until(is_refused, "it is refused")
            assert words[0].startswith("MISCONF Errors writing to the AOF file")
            await until(lambda: broker.refusal is not None, "it says why")
            await broker.publish(ROOM, b"live")
            await until(lambda: b"live" in worker.data(ROOM), "what is not kept arrives")
            limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(valkey.pid, resource.RLIMIT_FSIZE, limit)
            await until(lambda: broker.refusal is None, "there is room again")
            acknowledged.append(await broker.publish(ROOM, b"last", keep=KEEP))
            assert await _on_disk(valkey)
            kill(valkey)
    with running(tmp_path) as valkey:
        async with connected(valkey.url) as broker:
            past = await broker.read(ROOM, KEEP, limit=100)
            assert acknowledged == [Position(past.top.epoch, each + 1) for each in range(len(past.entries))]
            assert past.entries[-1].data == b"last"


async def _on_disk(valkey: EmbeddedValkey) -> bool:
    with Redis.from_url(valkey.url) as client:
        client.set("this", "too")
        return bool(client.execute_command("WAITAOF", 1, 0, 0)[0] == 1)
