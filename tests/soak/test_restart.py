"""Everything is stopped and started again: what the broker keeps is there, and clients go on where they were.

Either all workers end, and their broker lives on; or the whole of a `hubbub serve --data` does, with its Valkey, by
SIGTERM and by SIGKILL in the middle of traffic. LEDGER_KILLS is how often the latter, 2 by default.

A Valkey that is killed may lose what came while its disk was busy with what came in the second before. That is looked
at before anybody says anything new: what is lost must be that young, and who had heard it must be told.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
from redis import Redis

from hubbub import JWTAuth
from hubbub.testing import Acknowledged, Client, checks
from hubbub.testing.ledger import Stint
from hubbub.types import Position
from tests.kit.running import Served
from tests.kit.valkey import free_port
from tests.kit.waiting import until
from tests.soak.diary import received
from tests.soak.performance import Performance

KILLS = int(os.environ.get("LEDGER_KILLS", "2"))
SEED = int(os.environ.get("LEDGER_SEED", random.randrange(2**32) if "LEDGER_KILLS" in os.environ else 2175))

LEASE = 3.0
SECRET = "s" * 32
ROOMS = ["kept:a", "kept:b"]
#: Seconds for which what was acknowledged may wait for the disk, and so be lost with who waits.
BUSY = 2.0


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_all_workers_ended_and_killed_at_once_and_the_broker_lives_on(tmp_path: Path) -> None:
    """Positions, histories, presence and idempotency keys are compared at the end, of every worker and client."""

    async def stop_and_start(running: Performance) -> None:
        workers, clients = running.stage.workers, running.clients
        stay = [client for client in clients if not client.comes_and_goes]
        for stop in ("killed", "ended"):
            heard = received(client.diary for client in clients)
            await until(lambda heard=heard: received(c.diary for c in clients) > heard + 200, "it is busy")  # type: ignore[misc]
            had = [len(client.diary.closes) for client in stay]
            running.disturber.log.append(f"all workers are {stop}")
            await asyncio.gather(*(worker.kill() if stop == "killed" else worker.end() for worker in workers))
            await asyncio.gather(*(worker.start() for worker in workers))
            await running.stage.ready()
            await until(lambda: all(c.joined == set(c.wanted) for c in stay), "all are back", within=60)
            assert all(len(client.diary.closes) > before for client, before in zip(stay, had, strict=True))

    performance = Performance(tmp_path, seed=SEED, clients=40)
    print(await performance.run(stop_and_start))  # noqa: T201


class Everything:
    """A `hubbub serve` of three workers and its Valkey, on a port that stays."""

    def __init__(self, directory: Path) -> None:
        self.edges = directory / "edges"
        self.edges.touch()
        self._port = free_port()
        self._data = directory / "data"
        self._served: Served | None = None
        self._auth = JWTAuth(SECRET)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def token(self, user: str) -> str:
        return self._auth.sign(user)

    async def start(self) -> None:
        environment = {
            "HUBBUB_DATA": str(self._data),
            "HUBBUB_SECRET": SECRET,
            "HUBBUB_EDGES": str(self.edges),
            "HUBBUB_LEDGER_LEASE": str(LEASE),
            "HUBBUB_DEV": "1",  # no rate limit
        }
        arguments = ["restarted:app", "--workers", "3", "--port", str(self._port), "--no-access-log"]
        self._served = await asyncio.to_thread(
            Served, *arguments, cwd=Path(__file__).parent, env=environment, ready="/health/ready"
        )

    def on_disk(self) -> None:
        """Returns when all that was acknowledged is."""
        assert self._served is not None
        assert self._served.valkey is not None
        title = " ".join(psutil.Process(self._served.valkey).cmdline())
        with Redis(unix_socket_path=title.partition("unixsocket:")[2].strip()) as client:
            client.set("this", "too")
            assert client.execute_command("WAITAOF", 1, 0, 0)[0] == 1

    def kill_valkey(self) -> None:
        """SIGKILL to it alone; it is started again."""
        assert self._served is not None
        assert self._served.valkey is not None
        os.kill(self._served.valkey, signal.SIGKILL)

    async def kill(self) -> None:
        """SIGKILL to every process, the Valkey first and then without giving any of them time."""
        assert self._served is not None
        everybody = {*self._served.descendants(), self._served.pid}
        for pid in sorted(everybody, key=lambda pid: not is_valkey(pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._gone()

    async def end(self) -> None:
        assert self._served is not None
        assert await asyncio.to_thread(self._served.stop) == 0
        await self._gone()

    async def _gone(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            outlived = await asyncio.to_thread(served.close)
            assert not outlived
            assert "Traceback" not in served.output, served.output

    async def stop(self) -> None:
        await self._gone()


@asynccontextmanager
async def everything(directory: Path) -> AsyncIterator[tuple[Everything, httpx.AsyncClient]]:
    running = Everything(directory)
    try:
        await running.start()
        async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=10) as http:
            yield running, http
    finally:
        await running.stop()


def client_of(running: Everything, name: str, rooms: list[str]) -> Client:
    return Client(
        f"ws{running.url.removeprefix('http')}/ws",
        token=lambda: running.token(name),
        name=name,
        user=name,
        rooms=rooms,
        within=30.0,
        ceiling=0.3,
        chance=random.Random(f"{SEED} {name}"),
    )


class Traffic:
    """Publishers that say each thing until it is acknowledged, and nothing while the `gate` is shut."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.acknowledged: list[tuple[float, Acknowledged]] = []
        self.under_way = 0
        self._http = http

    async def pause(self) -> None:
        self.gate.clear()
        await until(lambda: not self.under_way, "all has been answered")

    async def publish(self, name: str, room: str, chance: random.Random) -> None:
        for number in itertools.count(1):
            message = {"type": "said", "publisher": name, "number": number}
            while (position := await self._say(room, message)) is None:  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(chance.uniform(0.01, 0.1))
            said = Acknowledged(room=room, message=message, position=Position(position["epoch"], position["offset"]))
            self.acknowledged.append((time.monotonic(), said))
            await asyncio.sleep(chance.uniform(0, 0.02))

    async def _say(self, room: str, message: Mapping[str, Any]) -> dict[str, Any] | None:
        await self.gate.wait()
        self.under_way += 1
        try:
            answer = await self._http.post(
                f"/api/rooms/{room}/messages",
                json=message,
                headers={"Idempotency-Key": f"{message['publisher']}/{message['number']}"},
            )
        except httpx.HTTPError:
            return None
        finally:
            self.under_way -= 1
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        position: dict[str, Any] = answer.json()["position"]
        return position


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
async def test_everything_killed_under_traffic_has_what_was_acknowledged(tmp_path: Path) -> None:
    async with everything(tmp_path) as (running, http):
        names = [f"client-{number}" for number in range(12)]
        clients = [client_of(running, name, [ROOMS[number % 2]]) for number, name in enumerate(names)]
        traffic, chance = Traffic(http), random.Random(SEED)
        lost: set[tuple[str, str, int]] = set()
        for client in clients:
            await client.__aenter__()
        publishing = [
            asyncio.create_task(traffic.publish(f"publisher-{each}", ROOMS[each % 2], random.Random(f"{SEED} {each}")))
            for each in range(6)
        ]
        try:
            # The Valkey alone: nobody has to come back, and nothing is lost that is on the disk.
            await until(lambda: len(traffic.acknowledged) > 50, "it is busy")
            await traffic.pause()
            await asyncio.to_thread(running.on_disk)
            running.kill_valkey()
            had = len(traffic.acknowledged)
            traffic.gate.set()
            await until(lambda: len(traffic.acknowledged) > had + 50, "it goes on")
            assert not any(client.ledger.closes for client in clients)
            for _ in range(KILLS):
                had = len(traffic.acknowledged)
                enough = chance.randrange(100, 400)
                await until(lambda had=had, enough=enough: len(traffic.acknowledged) > had + enough, "it is busy")  # type: ignore[misc]
                await running.kill()
                killed = time.monotonic()
                traffic.gate.clear()
                acknowledged = list(traffic.acknowledged)
                await running.start()
                lost |= await lost_of(acknowledged, killed, http)
                for client in clients:
                    await client.back(within=30.0)
                traffic.gate.set()
            had = len(traffic.acknowledged)
            await until(lambda: len(traffic.acknowledged) > had + 50, "it goes on")
        finally:
            for task in publishing:
                task.cancel()
            await asyncio.gather(*publishing, return_exceptions=True)
        tops = {room: Position(**(await http.get(f"/rooms/{room}/history")).json()) for room in ROOMS}
        await until(lambda: all(c.position(r) == tops[r] for c in clients for r in c.rooms), "all have everything")
        ledgers = [client.ledger for client in clients]
        epochs = {
            room: {said.position.epoch for _, said in traffic.acknowledged if said.room == room} for room in ROOMS
        }

        def same(message: Mapping[str, Any]) -> object:
            place = (message.get("room", ""), *epochs.get(message.get("room", ""), ("",)), message.get("offset", 0))
            return None if place in lost else (message["publisher"], message["number"])

        said = [each for _, each in traffic.acknowledged if place_of(each) not in lost]
        violations = [
            *checks.in_order(ledgers),
            *checks.whole(ledgers),
            *checks.agreed(ledgers, same=same),
            *checks.delivered(ledgers, said, same=lambda message: (message["publisher"], message["number"])),
            *checks.caught_up(ledgers, tops),
        ]
        assert not violations, f"seed {SEED}\n" + "\n".join(map(str, violations[:10]))
        assert all(len(each) == 1 for each in epochs.values()), "no position went back to another epoch"
        told = [
            str(stint)
            for each in ledgers
            for room in ROOMS
            for stint in each.stints.get(room, ())
            if not went_on(stint)
        ]
        assert bool(told) <= bool(lost), told
        for client in clients:
            await client.close()
        print(f"seed {SEED}: {KILLS} kills, {len(traffic.acknowledged)} acknowledged, {len(lost)} of them lost")  # noqa: T201


def place_of(said: Acknowledged) -> tuple[str, str, int]:
    assert said.position is not None
    return said.room, said.position.epoch, said.position.offset


def is_valkey(pid: int) -> bool:
    with suppress(psutil.Error):
        return "valkey-server" in psutil.Process(pid).exe()
    return False


async def lost_of(
    acknowledged: list[tuple[float, Acknowledged]], killed: float, http: httpx.AsyncClient
) -> set[tuple[str, str, int]]:
    """What was acknowledged and is not there. None of it is older than a disk may be busy."""
    found = set()
    for room in ROOMS:
        top = (await http.get(f"/rooms/{room}/history")).json()
        for at, said in acknowledged:
            if said.room != room:
                continue
            _, epoch, offset = place_of(said)
            assert epoch == top["epoch"]
            if offset > top["offset"]:
                assert killed - at < BUSY, f"{said} was acknowledged {killed - at:.2f} s before the kill"
                found.add(place_of(said))
    return found


def went_on(stint: Stint) -> bool:
    return stint.since is None or stint.recovered is True


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["ended", "killed"])
async def test_all_that_is_kept_is_there_when_everything_was_stopped(tmp_path: Path, how: str) -> None:
    async with everything(tmp_path) as (running, http):
        ann, bob, gus, dan = (client_of(running, name, ["kept:a"]) for name in ("ann", "bob", "gus", "dan"))
        eve = running.token("eve")
        for client in (ann, bob, gus, dan):
            await client.__aenter__()
        await dan.close()
        await until(lambda: ("dan", False) in edges(running), "dan is told as gone")
        last_seen = (await http.get("/seen/dan")).json()
        assert last_seen is not None
        shipped, key = {"type": "order_shipped", "order": 7}, {"Idempotency-Key": "order-7"}
        inbox = (await http.post("/inbox/dan", json=shipped, headers=key)).json()
        said = (await http.post("/api/rooms/kept:a/messages", json={"type": "said"}, headers=key)).json()["position"]
        assert (await http.post("/revoked/eve")).status_code == 200
        turn = (await http.post("/turn")).json()
        await ann.until(lambda: ann.position("kept:a") == Position(**said), "it is heard")
        await asyncio.to_thread(running.on_disk)
        gus.go_offline()
        await (running.end() if how == "ended" else running.kill())
        await running.start()

        # Clients go on, and who is not back leaves, once.
        for client in (ann, bob):
            await client.back(within=30.0)
            assert client.ledger.stints["kept:a"][-1].recovered is True
        await until(lambda: ("gus", False) in edges(running), "gus is told as gone", within=LEASE + 15)
        assert (await http.get("/rooms/kept:a/members")).json() == ["ann", "bob"]
        # What was said is known by its key, and where it stood.
        for _ in range(2):
            assert (await http.post("/inbox/dan", json=shipped, headers=key)).json() == inbox
            again = await http.post("/api/rooms/kept:a/messages", json={"type": "said"}, headers=key)
            assert again.json()["position"] == said
        new = (await http.post("/api/rooms/kept:a/messages", json={"type": "said"})).json()["position"]
        assert new == {"epoch": said["epoch"], "offset": said["offset"] + 1}
        await bob.until(lambda: bob.position("kept:a") == Position(**new), "it goes on")
        # The rest.
        assert (await http.post("/turn")).json() == turn + 1
        assert (await http.get("/seen/dan")).json() == last_seen
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws{running.url.removeprefix('http')}/ws?token={eve}", proxy=None)
        assert refused.value.response.status_code == 401
        async with client_of(running, "dan", []) as back:
            joined = await back.join("@me", since={"epoch": inbox["epoch"], "offset": 0})
            assert joined["recovered"] is True
            await back.receive("order_shipped", offset=inbox["offset"])
            stats: dict[str, Any] = {}

            async def counted() -> bool:
                stats.update((await http.get("/stats")).json())
                return (stats["connections"], stats["users"], stats["rooms"], len(stats["workers"])) == (3, 3, 1, 3)

            await until(counted, "all are counted, and nobody else", within=15)
        await until(lambda: edges(running).count(("dan", False)) == 2, "dan went twice")
        # Each edge once and in turn; who came back later than the lease was gone for a while.
        told = edges(running)
        assert [here for name, here in told if name == "gus"] == [True, False]
        for name in ("ann", "bob", "dan"):
            its = [here for of, here in told if of == name]
            assert its == [number % 2 == 0 for number in range(len(its))]
            assert its[-1] is (name != "dan")
        numbers = [json.loads(line)["number"] for line in running.edges.read_text().splitlines()]
        assert numbers == sorted({*numbers})
        ledgers = [ann.ledger, bob.ledger]
        assert not checks.announced(ledgers) + checks.gone_once(ledgers, "kept:a", ["gus"])
        assert not checks.present(ledgers, "kept:a", ["ann", "bob"])
        for client in (ann, bob, gus):
            await client.close()


def edges(running: Everything) -> list[tuple[str, bool]]:
    """Who came and went, as hooks were told."""
    return [(said["of"], said["here"]) for said in map(json.loads, running.edges.read_text().splitlines())]
