"""The proxy breaks what it should and nothing else."""

import asyncio
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hubbub.testing.proxy import Proxy
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until, wait_for
from tests.testing.echoes import Server, connected, exactly, silent


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0))
    yield server
    server.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.target) as proxy:
        yield proxy


class TestWhereNothingIsBroken:
    def test_carries_everything_both_ways(self, proxy: Proxy) -> None:
        data = bytes(range(256)) * 16384
        with connected(proxy) as client:
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            assert exactly(client, len(data)) == data
            sender.join()

    async def test_carries_the_end(self, server: Server, proxy: Proxy) -> None:
        with connected(proxy) as client:
            client.sendall(b"x" * 300_000)
            client.shutdown(socket.SHUT_WR)
            assert len(exactly(client, 300_000)) == 300_000
            assert client.recv(1) == b""
        await until(lambda: server.ends == ["FIN"] and not proxy.connections, "both ended")

    async def test_carries_a_reset(self, server: Server, proxy: Proxy) -> None:
        client = connected(proxy)
        client.sendall(b"x")
        exactly(client, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await until(lambda: server.ends == ["RST"] and not proxy.connections, "both ended")

    def test_reaches_a_unix_socket(self) -> None:
        # A path of pytest's own can be too long for a socket.
        with tempfile.TemporaryDirectory(prefix="hb") as directory:
            server = Server(f"{directory}/socket")
            with Proxy(server.target) as proxy, connected(proxy) as client:
                client.sendall(b"hello")
                assert exactly(client, 5) == b"hello"
            server.close()

    def test_needs_no_loop_of_the_callers(self, proxy: Proxy) -> None:
        """A loop that is blocked does not stop it."""

        async def main() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"x")
            time.sleep(0.1)  # noqa: ASYNC251 - that is the point
            assert await reader.read(1) == b"x"
            writer.close()

        asyncio.run(main())


class TestDelay:
    def test_holds_each_byte_for_so_long(self, proxy: Proxy) -> None:
        with connected(proxy) as client:
            proxy.delay(0.1)
            watch = Stopwatch()
            client.sendall(b"x")
            exactly(client, 1)
            assert watch.wall >= 0.2
            assert watch.own < 2

    def test_in_one_direction_is_half(self, proxy: Proxy) -> None:
        with connected(proxy) as client:
            proxy.delay(0.2, up=False)
            taken = []
            # The threads between may each be late; no timer is early.
            for _ in range(5):
                watch = Stopwatch()
                client.sendall(b"x")
                exactly(client, 1)
                taken.append(watch.wall)
            assert min(taken) >= 0.2
            assert min(taken) < 0.39

    def test_is_no_less_for_many(self, proxy: Proxy) -> None:
        """What is behind another waits for its own time only, not for that of both."""
        with connected(proxy) as client:
            proxy.delay(0.2, up=False)
            watch = Stopwatch()
            for _ in range(10):
                client.sendall(b"x")
                time.sleep(0.02)
            exactly(client, 10)
            assert watch.own < 1

    def test_that_ends_lets_nothing_pass_what_is_on_its_way(self, proxy: Proxy) -> None:
        with connected(proxy) as client:
            proxy.delay(0.3, down=False)
            client.sendall(b"1")
            time.sleep(0.05)
            proxy.heal()
            client.sendall(b"2")
            assert exactly(client, 2) == b"12"


class TestFreeze:
    def test_holds_everything_until_it_heals(self, proxy: Proxy) -> None:
        with connected(proxy) as client:
            proxy.freeze()
            client.sendall(b"held")
            assert silent(client)
            proxy.heal()
            assert exactly(client, 4) == b"held"

    @pytest.mark.parametrize(("up", "arrived"), [(True, 0), (False, 1)])
    def test_can_be_of_one_direction(self, server: Server, proxy: Proxy, up: bool, arrived: int) -> None:
        with connected(proxy) as client:
            client.sendall(b"x")
            exactly(client, 1)
            proxy.freeze(up=up, down=not up)
            client.shutdown(socket.SHUT_WR)
            if arrived:
                wait_for(lambda: server.ends, what="the end has arrived")
            time.sleep(0.2)
            assert len(server.ends) == arrived
            proxy.heal()
            assert client.recv(1) == b""

    async def test_hides_the_end_too(self, server: Server, proxy: Proxy) -> None:
        """Half-open: each side believes in the other."""
        client = connected(proxy)
        client.sendall(b"x")
        exactly(client, 1)
        proxy.freeze()
        client.close()
        await asyncio.sleep(0.2)
        assert server.ends == []
        proxy.heal()
        await until(lambda: len(server.ends) == 1 and not proxy.connections, "it is told now")

    def test_concerns_who_comes_later(self, server: Server, proxy: Proxy) -> None:
        proxy.freeze()
        with connected(proxy) as client:
            client.sendall(b"x")
            assert silent(client)
            assert server.accepted == 0
            proxy.heal()
            assert exactly(client, 1) == b"x"

    async def test_of_one_connection_leaves_the_others(self, proxy: Proxy) -> None:
        with connected(proxy) as one, connected(proxy) as other:
            one.sendall(b"one")
            other.sendall(b"other")
            exactly(one, 3)
            exactly(other, 5)
            (connection,) = (connection for connection in proxy.connections if connection.said == b"one")
            connection.freeze()
            one.sendall(b"x")
            other.sendall(b"x")
            assert exactly(other, 1) == b"x"
            assert silent(one)
            proxy.heal()
            assert exactly(one, 1) == b"x"


class TestReset:
    def ended(self, client: socket.socket) -> str:
        try:
            return "FIN" if client.recv(1) == b"" else "alive"
        except ConnectionResetError:
            return "RST"

    async def test_ends_every_connection_at_once(self, server: Server, proxy: Proxy) -> None:
        with connected(proxy) as one, connected(proxy) as other:
            for client in (one, other):
                client.sendall(b"x")
                exactly(client, 1)
            proxy.reset()
            assert [self.ended(one), self.ended(other)] == ["RST", "RST"]
            await until(lambda: server.ends == ["RST", "RST"] and not proxy.connections, "the server knows too")
            with connected(proxy) as third:
                third.sendall(b"x")
                assert exactly(third, 1) == b"x"

    async def test_can_be_of_one(self, server: Server, proxy: Proxy) -> None:
        with connected(proxy) as one, connected(proxy) as other:
            for client in (one, other):
                client.sendall(b"x")
                exactly(client, 1)
            proxy.connections[0].reset()
            assert self.ended(one) == "RST"
            other.sendall(b"x")
            assert exactly(other, 1) == b"x"

    async def test_of_what_is_frozen(self, server: Server, proxy: Proxy) -> None:
        with connected(proxy) as client:
            client.sendall(b"x")
            exactly(client, 1)
            proxy.freeze()
            proxy.reset()
            assert self.ended(client) == "RST"


class TestRefuse:
    def test_is_a_refusal_until_it_heals(self, proxy: Proxy) -> None:
        with connected(proxy) as before:
            before.sendall(b"x")
            exactly(before, 1)
            for _ in range(2):
                proxy.refuse()
                for _ in range(3):
                    with pytest.raises(ConnectionRefusedError):
                        connected(proxy)
                before.sendall(b"x")
                assert exactly(before, 1) == b"x"
                proxy.heal()
                with connected(proxy) as after:
                    after.sendall(b"x")
                    assert exactly(after, 1) == b"x"

    def test_by_the_server_ends_the_client(self, server: Server) -> None:
        nobody = socket.socket()
        nobody.bind(("127.0.0.1", 0))
        # As soon as it is connected, and sometimes sooner.
        with (
            nobody,
            Proxy(f"127.0.0.1:{nobody.getsockname()[1]}") as proxy,
            pytest.raises(ConnectionResetError),
            connected(proxy) as client,
        ):
            client.recv(1)


class TestTheEnd:
    @pytest.mark.parametrize(
        "broken", [lambda _: None, Proxy.freeze, Proxy.refuse], ids=["whole", "frozen", "refusing"]
    )
    def test_leaves_no_thread_no_descriptor_and_no_port(self, server: Server, broken: Callable[[Proxy], None]) -> None:
        threads = threading.active_count()
        with Proxy(server.target) as proxy:
            port = proxy.port
            client = connected(proxy)
            client.sendall(b"x")
            exactly(client, 1)
            broken(proxy)
        client.close()
        again = socket.socket()
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
        again.close()
        server.close()
        assert threading.active_count() <= threads
