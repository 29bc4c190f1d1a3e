"""A server that is there and refuses: what it refuses is told in its words, and what it does not goes on."""

import asyncio
import contextlib
import logging
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.writes import Writes
from hubbub.client.publisher import AsyncPublisher, Publisher
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.rooms.retention import word
from hubbub.types import room_topic
from tests.kit.broker_servers import LOGGER, lines, path_of
from tests.kit.brokers import Worker, heard_again, started
from tests.kit.refusing import DEMOTED, FULL_DISK, FULL_MEMORY, MASTERDOWN, OF_WRITES, Refusal
from tests.kit.rights import SCRIPTS, used_by_scripts
from tests.kit.valkey import Valkey, free_port
from tests.kit.waiting import until

ROOM, OTHER = room_topic("lobby"), room_topic("other")
KEEP = History(size=10, ttl=60)


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedValkey]:
    """A server for all that is ended again by the test that begins it."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def other() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


def impatient(url: str) -> RedisBroker:
    return RedisBroker(url, deadline=2, probe=0.1, silence=0.5)


def _pings(admin: Redis) -> int:
    said = admin.info("commandstats").get("cmdstat_ping", {})
    return int(said.get("calls", 0)) + int(said.get("rejected_calls", 0))


class TestWrites:
    @pytest.mark.parametrize("refusal", OF_WRITES, ids=str)
    async def test_that_are_refused_are_told_and_what_needs_none_goes_on(
        self, own: EmbeddedValkey, refusal: Refusal, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Redis.from_url(own.url) as admin:
            async with started(impatient(own.url)) as worker:
                broker = worker.broker
                assert broker.refusal is None
                await broker.subscribe(ROOM)
                await broker.publish(ROOM, b"kept", keep=KEEP)
                with refusal.by(admin):
                    await until(lambda: broker.refusal, "the refusal lasts")
                    assert refusal.words in (broker.refusal or "")
                    with pytest.raises(Unavailable) as refused:
                        await broker.publish(ROOM, b"lost", keep=KEEP)
                    assert refusal.words in str(refused.value.__cause__)
                    assert refused.value.message == "the broker refuses it"
                    # Asked for a sign of life for longer than it may give none.
                    pings = _pings(admin)
                    await until(lambda: _pings(admin) > pings + 15, "it was asked")
                    assert broker.ready
                    assert broker.deaf_for == 0
                    await broker.subscribe(OTHER)
                    for topic in (ROOM, OTHER):
                        await heard_again(worker, topic)
                    await broker.unsubscribe(OTHER)
                await until(lambda: broker.refusal is None, "it is over")
                assert await broker.publish(ROOM, b"kept", keep=KEEP) is not None
                assert worker.resumed == 0
                assert worker.missed == []
        told, back = lines(caplog)
        assert told.startswith(f"WARNING the broker at {path_of(own.url)} refuses writes, so nobody is let in: ")
        assert refusal.words in told
        assert "script" not in told
        assert back == f"WARNING the broker at {path_of(own.url)} takes writes again"

    async def test_on_a_node_of_a_cluster_are_told(self) -> None:
        """Some of what is one step for a hub is in two slots."""
        with tempfile.TemporaryDirectory(prefix="hb") as directory:
            node = Valkey(
                Path(directory), durable=False, options={"cluster-enabled": "yes", "cluster-port": str(free_port())}
            )
            node.start()
            try:
                node.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                info = partial(node.admin.execute_command, "CLUSTER INFO")
                await until(lambda: info()["cluster_state"] == "ok", "it has all slots")
                async with started(RedisBroker(f"redis://127.0.0.1:{node.port}")) as worker:
                    assert "CROSSSLOT" in (worker.broker.refusal or "")
            finally:
                node.stop()

    async def test_that_are_refused_from_the_start_are_told_before_it_is_ready(self, own: EmbeddedValkey) -> None:
        """However long a refusal must last later: nobody is let in until something was written."""
        with Redis.from_url(own.url) as admin, DEMOTED.by(admin):
            async with started(RedisBroker(own.url, probe=60, silence=100)) as worker:
                assert "READONLY" in (worker.broker.refusal or "")

    async def test_of_which_one_is_refused_are_no_refusal(self, caplog: pytest.LogCaptureFixture) -> None:
        answers: list[Exception | None] = [None, ResponseError("LOADING"), TimeoutError(), ResponseError("BUSY"), None]

        async def write() -> None:
            if answer := answers.pop(0):
                raise Unavailable from answer

        writes = Writes(write, write, lambda _: None, address="here", lasting=60)
        assert [await writes.attempt() for _ in range(5)] == [True, False, True, False, True]
        assert writes.refusal is None
        assert lines(caplog) == []

    @pytest.mark.parametrize("refusal", [DEMOTED, FULL_DISK, FULL_MEMORY], ids=str)
    async def test_that_are_refused_leave_what_is_kept_to_be_read(self, own: EmbeddedValkey, refusal: Refusal) -> None:
        with Redis.from_url(own.url) as admin:
            async with started(impatient(own.url)) as worker:
                position = await worker.broker.publish(ROOM, b"kept", keep=KEEP)
                with refusal.by(admin):
                    past = await worker.broker.read(ROOM, KEEP, limit=1, reverse=True)
                    assert past.top == position
                    assert [entry.data for entry in past.entries] == [b"kept"]

    def test_are_proved_by_all_that_any_script_does(self) -> None:
        asked = re.findall(r"\.call\(b\"(\w+)\"", (SCRIPTS / "broker.py").read_text())
        proved = {*re.findall(r"\{'(\w+)'", Script("probe").body.decode())}
        assert (used_by_scripts() | {*asked}) - proved == {"PUBLISH"}

    async def test_leave_nothing_of_the_probe(self, own: EmbeddedValkey) -> None:
        with Redis.from_url(own.url) as admin:
            admin.flushall()
            async with started(impatient(own.url)):
                pass
            assert admin.keys() == []


@pytest.fixture
def address() -> Iterator[Path]:
    """A name for whichever server it is given."""
    with tempfile.TemporaryDirectory(prefix="hb") as directory:
        yield Path(directory) / "socket"


def _leads_to(address: Path, server: EmbeddedValkey) -> None:
    fresh = address.with_suffix(".new")
    fresh.symlink_to(path_of(server.url))
    fresh.replace(address)


class TestAReplicaThatWasThePrimary:
    @pytest.mark.parametrize("refusal", [DEMOTED, MASTERDOWN], ids=str)
    async def test_is_left_for_its_successor(
        self, own: EmbeddedValkey, other: EmbeddedValkey, address: Path, refusal: Refusal
    ) -> None:
        """Both connections, though neither was lost."""
        _leads_to(address, own)
        with Redis.from_url(own.url) as admin, Redis.from_url(other.url) as successor:
            async with started(RedisBroker(f"unix://{address}", probe=0.3, silence=5)) as worker:
                await worker.broker.subscribe(ROOM)
                with refusal.by(admin):
                    _leads_to(address, other)
                    await until(lambda: worker.resumed == 1, "it listens to the successor")
                    await until(lambda: worker.broker.ready and worker.broker.refusal is None, "and may write")
                    assert await worker.broker.publish(ROOM, b"kept", keep=KEEP) is not None
                    await until(lambda: any(b"kept" in data for data in worker.data(ROOM)), "it is heard")
                    assert successor.exists("hubbub:{hubbub:room:lobby}:stream")
                    assert admin.client_list(_type="pubsub") == []

    async def test_is_left_by_publishers_too(self, own: EmbeddedValkey, other: EmbeddedValkey, address: Path) -> None:
        _leads_to(address, own)
        with Redis.from_url(own.url) as admin, Redis.from_url(other.url) as successor:
            async with AsyncPublisher(f"unix://{address}") as waits:
                for client in (admin, successor):
                    client.set("hubbub:{hubbub}:rules", word([("lobby", KEEP)], None))
                with Publisher(f"unix://{address}") as blocks:
                    assert (await waits.room("lobby").send({"type": "x"})) is not None
                    assert blocks.room("lobby").send({"type": "x"}) is not None
                    with DEMOTED.by(admin):
                        for send in (blocks.room("lobby").send, waits.room("lobby").send):
                            with pytest.raises(Unavailable) as refused:
                                await _done(send({"type": "x"}))
                            assert "read only" in str(refused.value.__cause__)
                        _leads_to(address, other)
                        for send in (blocks.room("lobby").send, waits.room("lobby").send):
                            with contextlib.suppress(Unavailable):
                                await _done(send({"type": "x"}))
                        for send in (blocks.room("lobby").send, waits.room("lobby").send):
                            assert await _done(send({"type": "x"})) is not None
                        assert successor.exists("hubbub:{hubbub:room:lobby}:stream")


async def _done(result: object) -> object:
    return await result if asyncio.iscoroutine(result) else result


class TestASubscription:
    async def test_that_is_refused_is_told_at_once_and_the_others_stand(
        self, own: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Asked for together with others, which the server refuses with it."""
        with Redis.from_url(own.url) as admin:
            url = _user(admin, own, "&hubbub:{hubbub:probe:*", "&hubbub:{hubbub:room:lobby}*")
            async with started(RedisBroker(url, deadline=60)) as worker:
                asked = [worker.broker.subscribe(topic) for topic in (ROOM, OTHER)]
                stands, refused = await asyncio.gather(*asked, return_exceptions=True)
                assert stands is None
                assert isinstance(refused, Unavailable)
                assert "No permissions to access a channel" in str(refused.__cause__)
                await heard_again(worker, ROOM)
                assert worker.broker.ready
        assert lines(caplog) == []

    async def test_that_stood_and_is_refused_makes_deaf_and_is_asked_for_again(
        self, own: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Redis.from_url(own.url) as admin:
            url = _user(admin, own, "&hubbub:*")
            async with started(impatient(url)) as worker:
                for topic in (ROOM, OTHER):
                    await worker.broker.subscribe(topic)
                # The server ends the connections of those who listen to what they may not.
                _user(admin, own, "&hubbub:{hubbub:probe:*", "&hubbub:{hubbub:room:lobby}*")
                await until(lambda: not worker.broker.ready, "it is noticed")
                await until(lambda: len(lines(caplog)) == 2, "it is told, and then why")
                assert "No permissions to access a channel" in lines(caplog)[1]
                _user(admin, own, "&hubbub:*")
                await until(lambda: worker.broker.ready, "it is back")
                await until(lambda: worker.missed == [OTHER] and worker.resumed == 1, "what was missed is looked for")
                for topic in (ROOM, OTHER):
                    await heard_again(worker, topic)

    async def test_of_its_own_that_is_refused_is_told_in_the_servers_words(
        self, own: EmbeddedValkey, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Redis.from_url(own.url) as admin:
            worker = Worker(impatient(_user(admin, own, "&elsewhere:*")))
            await worker.start()
            await until(lambda: lines(caplog), "it is told")
            assert "cannot reach the broker" in lines(caplog)[0]
            assert "No permissions to access a channel" in lines(caplog)[0]
            await worker.broker.stop()


def _user(admin: Redis, server: EmbeddedValkey, *channels: str) -> str:
    """The URL of one who may listen to these alone."""
    admin.execute_command("ACL", "SETUSER", "u", "reset", "on", ">hush", "~*", "+@all", *channels)
    joint = "&" if "?" in server.url else "?"
    return f"{server.url}{joint}username=u&password=hush"


class TestAConnectionThatIsRefused:
    async def test_is_told_in_the_servers_words(self, own: EmbeddedValkey, caplog: pytest.LogCaptureFixture) -> None:
        joint = "&" if "?" in own.url else "?"
        worker = Worker(impatient(f"{own.url}{joint}username=nobody&password=hush"))
        await worker.start()
        await until(lambda: lines(caplog), "it is told")
        with pytest.raises(Unavailable) as refused:
            await worker.broker.publish(ROOM, b"x")
        await worker.broker.stop()
        for said in (lines(caplog)[0], str(refused.value.__cause__)):
            assert "invalid username-password pair" in said
            assert "hush" not in said
