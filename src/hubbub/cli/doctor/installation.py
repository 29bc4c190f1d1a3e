"""What is installed beside Hubbub, and what this machine allows. Imports stand in the checks: they may fail."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version

from hubbub import __version__
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings, named_proxies
from hubbub.errors import ConfigurationError
from hubbub.transports import PROTOCOL, accelerator
from hubbub.transports.descriptors import Descriptors, needed_for

OLDEST_UVICORN = "0.52.1"

_CLI = 'pip install "hubbub[cli]"'


def installation() -> Iterator[Finding]:
    yield Finding(About.HUBBUB, "ok", f"{__version__}, Python {platform.python_version()} on {platform.system()}")
    yield _accelerator()
    yield _uvicorn()
    yield _transport()
    if sys.platform == "win32":
        yield Finding(About.EVENT_LOOP, "ok", "asyncio, the only one on Windows")
    else:
        yield _extension(About.EVENT_LOOP, "uvloop", "uvloop", otherwise="asyncio, which is slower", do=_CLI)
    yield _extension(About.HTTP_PARSER, "httptools", "httptools", otherwise="h11, which is slower", do=_CLI)
    again = "pip install --force-reinstall --no-deps websockets, where there is a wheel or a compiler"
    yield _extension(About.WEBSOCKETS, "websockets.speedups", "C", otherwise="Python, without its C part", do=again)
    yield _extension(About.HIREDIS, "hiredis", "installed", otherwise="missing", do='pip install "hubbub[redis]"')


def _accelerator() -> Finding:
    if accelerator.IMPLEMENTATION == "C":
        return Finding(About.ACCELERATOR, "ok", "C")
    said = f"Python: the one in C is {accelerator.WHY_NOT_C}"
    do = "unset HUBBUB_ACCELERATOR, and with a compiler pip install --force-reinstall --no-deps --no-cache-dir hubbub"
    return Finding(About.ACCELERATOR, "weak", said, do)


def _uvicorn() -> Finding:
    installed = version("uvicorn")
    if _numbers(installed) < _numbers(OLDEST_UVICORN):
        return Finding(About.UVICORN, "wrong", f"{installed} is older than {OLDEST_UVICORN}", "pip install -U uvicorn")
    return Finding(About.UVICORN, "ok", installed)


def _transport() -> Finding:
    module, _, name = PROTOCOL.partition(":")
    try:
        getattr(import_module(module), name)
    # Made for the insides of uvicorn, it may meet a later one in which anything is different.
    except Exception as error:  # noqa: BLE001
        said = f"{PROTOCOL} does not import: {type(error).__name__}: {error}"
        return Finding(About.TRANSPORT, "wrong", said, f"one that it knows: pip install uvicorn=={OLDEST_UVICORN}")
    if not accelerator.DIRECT:
        said = "no direct writes to sockets on this system; uvicorn's transports write"
        return Finding(About.TRANSPORT, "weak", said, "run it on Linux or macOS")
    return Finding(About.TRANSPORT, "ok", f"the fast one, {PROTOCOL}")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(".")[:3] if part.isdigit()]


def _extension(name: About, module: str, said: str, *, otherwise: str, do: str) -> Finding:
    try:
        import_module(module)
    except ImportError:
        return Finding(name, "weak", otherwise, do)
    return Finding(name, "ok", said)


def open_files(connections: int, *, hard: bool) -> Iterator[Finding]:
    """Whether a worker may have so many connections. `hard`: it takes all that the hard limit gives, as ours does."""
    try:
        import resource
    except ImportError:
        return
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = most if hard else soft
    allowed = Descriptors.of(limit)
    if limit == resource.RLIM_INFINITY or allowed.for_clients >= connections:
        yield Finding(About.OPEN_FILES, "ok", f"enough for {connections} connections a worker")
        return
    needed = needed_for(connections)
    said = f"{limit}: room for {allowed.for_clients} connections a worker, where {connections} may come"
    if not hard and (most == resource.RLIM_INFINITY or most >= needed):
        do = f"ulimit -n {needed} before it starts, or LimitNOFILE={needed}"
    else:
        do = f"LimitNOFILE={needed} in its unit, or more workers, or say --connections N and Limits(connections=N)"
    yield Finding(About.OPEN_FILES, "weak", said, do)


def addresses(settings: Settings) -> Finding:
    """Whether clients are limited by address, as a hub without options of its own has it."""
    name = About.ADDRESSES
    if settings.dev:
        return Finding(name, "ok", "not limited in development")
    try:
        proxies = named_proxies(settings)
    except ConfigurationError as error:
        return Finding(name, "wrong", str(error), "--proxies takes addresses, networks and unix, with commas; or none")
    if os.environ.get("FORWARDED_ALLOW_IPS") == "*" and settings.proxies is None:
        said = "not limited: with FORWARDED_ALLOW_IPS=* anybody says who it is"
        return Finding(name, "weak", said, "--proxies LIST (HUBBUB_PROXIES) names the proxies that are believed")
    if settings.uds is not None and not proxies.unix:
        said = "not limited: who comes by a unix socket has none"
        return Finding(name, "weak", said, "--proxies unix, behind a proxy that says it")
    if proxies.said:
        return Finding(name, "ok", f"limited, also behind {settings.proxies}; not from loopback itself")
    said = "limited, but for loopback, unix sockets and proxies in private networks that are not named (--proxies)"
    return Finding(name, "ok", said)
