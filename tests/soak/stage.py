"""Three workers that can each be killed, ended and cut off, and a Valkey that keeps what it said it has.

Every worker is a `hubbub serve` of its own on a port of its own, which it keeps when it is started again, and reaches
the Valkey through a proxy of its own. There is a second Valkey, which is not started before it is to take over, and
another service, which is not started before it is wanted. nginx may be before the workers.
"""

import asyncio
import os
import signal
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from hubbub.testing.proxy import Proxy
from tests.kit.proxies import Nginx
from tests.kit.running import Served
from tests.kit.valkey import Valkey, free_port

APPLICATION = Path(__file__).parent


class Door:
    """Where clients and publishers come in: a worker, or what is before all of them."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


class Worker(Door):
    """One `hubbub serve`. `application`: the module in this directory."""

    def __init__(self, name: str, proxy: Proxy, environment: dict[str, str], application: str = "application") -> None:
        super().__init__(name, free_port())
        self.proxy = proxy
        self.busy = asyncio.Lock()
        """Held by whoever does something to it."""
        self._application = application
        self._environment = {**environment, "HUBBUB_BROKER": f"redis://127.0.0.1:{proxy.port}"}
        self._served: Served | None = None
        self._said: list[str] = []

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return None if self._served is None else self._served.pid

    @property
    def work(self) -> float:
        """Seconds of a processor that it has used."""
        assert self._served is not None
        used = psutil.Process(self._served.pid).cpu_times()
        return float(used.user + used.system)

    @property
    def output(self) -> str:
        """What all its lives have printed."""
        now = self._served.output if self._served is not None else ""
        return "\n".join([*self._said, now])

    async def start(self, *, limit: int | None = None) -> None:
        """It ends by itself when it has answered `limit` requests."""
        arguments = [f"{self._application}:app", "--port", str(self.port)]
        if limit is not None:
            arguments += ["--limit-max-requests", str(limit)]
        self._served = await asyncio.to_thread(
            Served, *arguments, cwd=APPLICATION, env=self._environment, ready="/health/live"
        )

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._served is not None
        os.kill(self._served.pid, signal.SIGKILL)
        await self._gone()

    async def end(self) -> int:
        """SIGTERM; the exit code."""
        assert self._served is not None
        self._served.send(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Once it has; the exit code."""
        assert self._served is not None
        code = await asyncio.to_thread(self._served.wait)
        await self._gone()
        return code

    async def stop(self) -> None:
        if self._served is not None:
            await self._gone()

    async def _gone(self) -> None:
        assert self._served is not None
        await asyncio.to_thread(self._served.close)
        self._said.append(self._served.output)
        self._served = None


class Stage:
    """`async with Stage(directory) as stage`: all of it running; afterwards nothing is left.

    `nginx`: half of those who come in come through it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 3,
        lease: float = 3.0,
        window: float = 1.0,
        durable: bool = True,
        nginx: bool = False,
    ) -> None:
        self._directory = directory
        self._before = nginx
        # What an earlier one has kept in the same directory is none of ours.
        self.valkey, self._spare = (Valkey(Path(tempfile.mkdtemp(dir=directory)), durable=durable) for _ in range(2))
        self._address = Path(tempfile.mkdtemp(dir=directory)) / "valkey"
        self.valkey_busy = asyncio.Lock()
        self.nginx_busy = asyncio.Lock()
        environment = {
            "HUBBUB_LEDGER_LEASE": str(lease),
            "HUBBUB_LEDGER_WINDOW": str(window),
            "HUBBUB_LOG_LEVEL": "info",
            "HUBBUB_DEV": "1",  # no rate limit
        }
        self._environment = environment
        self._count = workers
        self._proxies = ExitStack()
        self.workers: list[Worker] = []
        self.doors: list[Door] = []
        """One of them is taken by chance."""

    other: Worker
    """Of the second service; it is not running."""
    nginx: Nginx

    async def __aenter__(self) -> Self:
        self.valkey.start()
        self._address.symlink_to(self.valkey.socket)
        try:
            self.other = Worker("the other service", self._proxy(), self._environment, "other_service")
            self.workers = [Worker(f"worker {n}", self._proxy(), self._environment) for n in range(self._count)]
            self.doors = [*self.workers]
            for worker in self.workers:
                await worker.start()
            if self._before:
                self._put_nginx_before()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def ready(self, within: float = 60.0) -> None:
        """Returns when every worker says that it is."""
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client, asyncio.timeout(within):
            for worker in self.workers:
                while not await is_ready(client, worker):  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.05)

    def _proxy(self) -> Proxy:
        return self._proxies.enter_context(Proxy(str(self._address)))

    def _put_nginx_before(self) -> None:
        places = [f"127.0.0.1:{worker.port}" for worker in self.workers]
        nginx = Nginx(Path(tempfile.mkdtemp(dir=self._directory)), places, tls=False)
        self.nginx = self._proxies.enter_context(nginx)
        self.doors += [Door("nginx", nginx.port)] * len(self.workers)

    def fail_over(self) -> None:
        """The other Valkey has all that this one has, leads, and is at its address. Blocks."""
        self.valkey, self._spare = self._spare, self.valkey
        self.valkey.take_over(self._spare)
        address = self._address.with_suffix(".new")
        address.symlink_to(self.valkey.socket)
        address.replace(self._address)

    async def _end(self) -> None:
        with suppress(AssertionError, ProcessLookupError):
            self.valkey.thaw()
        await asyncio.gather(*(worker.stop() for worker in [*self.workers, self.other]))
        self._proxies.close()
        self.valkey.stop()
        self._spare.stop()


async def is_ready(client: httpx.AsyncClient, worker: Door) -> bool:
    try:
        return (await client.get(f"{worker.url}/health/ready")).status_code == 200
    except httpx.HTTPError:
        return False
