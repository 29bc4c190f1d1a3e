"""Which server a URL names, how it is reached, and that its password is never told."""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotConnected

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.server import Server
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.ports.broker import Announcement
from hubbub.types import room_topic
from tests.kit.broker_servers import LOGGER, connections_to, over_tcp
from tests.kit.brokers import Worker, running
from tests.kit.certificates import make_certificate
from tests.kit.waiting import until

ROOM = room_topic("lobby")


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


class TestUrls:
    def test_two_hubs_meet_where_url_and_name_are_equal(self, url: str) -> None:
        async def main() -> None:
            others = (RedisBroker(url, name="other"), RedisBroker(f"{url}?db=1"))
            async with running(RedisBroker(url), RedisBroker(url), *others) as (here, there, *strangers):
                for worker in (here, there, *strangers):
                    await worker.broker.subscribe(ROOM)
                await here.broker.publish(ROOM, b"x")
                await here.broker.enter(ROOM, "alice", "n1", Announcement(ROOM, b"came"))
                await here.broker.report("n1", b"x", 60)
                assert await here.broker.take_turn("numbers", "n1", 60) == 1
                await until(lambda: len(here.heard) == len(there.heard) == 2, "those who meet hear it")
                for number, stranger in enumerate(strangers):
                    await stranger.broker.publish(ROOM, b"own")
                    await until(lambda stranger=stranger: stranger.heard == [(ROOM, b"own")], f"{number} only its own")
                    assert await stranger.broker.members(ROOM) == []
                    assert await stranger.broker.reports() == {}
                    assert await stranger.broker.take_turn("numbers", "n2", 60) == 1

        asyncio.run(main())

    @pytest.mark.parametrize("scheme", ["redis", "valkey"])
    def test_over_tcp(self, url: str, scheme: str) -> None:
        async def main() -> None:
            with over_tcp(url.removeprefix("unix://")) as port:
                worker = Worker(RedisBroker(f"{scheme}://127.0.0.1:{port}/2"))
                await worker.start()
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, b"x")
                await until(lambda: worker.data(ROOM) == [b"x"], "it is heard")
                assert repr(worker.broker) == f"RedisBroker('127.0.0.1:{port}')"
                await worker.broker.stop()
                assert connections_to(port) == 0

        asyncio.run(main())

    def test_over_tls(self, url: str, tmp_path: Path) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = make_certificate(tmp_path)
        tls.load_cert_chain(certificate, key)

        async def main() -> None:
            with over_tcp(url.removeprefix("unix://"), tls) as port:
                trusting = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
                worker = Worker(RedisBroker(trusting.replace("rediss", "valkeys")))
                await worker.start()
                await worker.broker.subscribe(ROOM)
                await worker.broker.publish(ROOM, bytes(300_000))
                await until(lambda: worker.data(ROOM) == [bytes(300_000)], "it is heard")
                await worker.broker.stop()
                assert connections_to(port) == 0
                with pytest.raises(NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
                    await Server(trusting.partition("?")[0], deadline=2).connect()

        asyncio.run(main())

    def test_a_password_is_used_and_never_told(
        self, url: str, protected: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        async def main() -> None:
            with over_tcp(url.removeprefix("unix://")) as port:
                for password, good in ((protected, True), ("wrong-hush", False)):
                    worker = Worker(RedisBroker(f"redis://:{password}@127.0.0.1:{port}"))
                    await worker.start()
                    if good:
                        await worker.broker.subscribe(ROOM)
                        # Which is known one reply later than that the subscription stands.
                        await until(lambda worker=worker: worker.broker.ready, "it stands")
                    else:
                        await until(lambda: "cannot reach" in caplog.text, "it is told")
                        with pytest.raises(Unavailable) as refused:
                            await worker.broker.count(ROOM)
                        assert "hush" not in repr(refused.value) + repr(refused.value.__cause__)
                    assert worker.broker.ready is good
                    assert "hush" not in repr(worker.broker)
                    await worker.broker.stop()
                    assert connections_to(port) == 0
                assert f"cannot reach the broker at 127.0.0.1:{port}: " in caplog.text

        asyncio.run(main())
        assert "hush" not in caplog.text

    @pytest.fixture
    def protected(self, url: str, admin: Redis) -> Iterator[str]:
        """The password that the server asks of those who connect from now on."""
        admin.config_set("requirepass", "hush")
        yield "hush"
        admin.config_set("requirepass", "")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost",
            "http://user:hush@host",
            "redis://user:hu/sh@host",
            "redis://:hush@host:port",
            "redis://:hush@host?db=x",
            "redis://:hush@host?no_such_option=1",
            "unix://",
        ],
    )
    def test_that_cannot_be_read_are_refused_without_repeating_them(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as refused:
            RedisBroker(url)
        assert "hu" not in str(refused.value).replace("hubbub", "")
        assert refused.value.__cause__ is None

    def test_options_in_them_cannot_change_what_the_broker_relies_on(self, url: str) -> None:
        async def main() -> None:
            hostile = (
                f"{url}?protocol=3&decode_responses=1&socket_timeout=0.05&health_check_interval=1&retry_on_timeout=1"
            )
            async with running(RedisBroker(hostile, probe=60, silence=90)) as (worker,):
                await worker.broker.subscribe(ROOM)
                await asyncio.sleep(0.2)
                await worker.broker.publish(ROOM, b"\xff")
                await until(lambda: worker.data(ROOM) == [b"\xff"], "bytes, on the first connection")
                assert worker.resumed == 0

        asyncio.run(main())

    @pytest.mark.parametrize("times", [{"deadline": 0}, {"probe": 0}, {"probe": 5, "silence": 5}])
    def test_times_that_cannot_be_kept_are_refused(self, times: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError):
            RedisBroker("redis://localhost", **times)
