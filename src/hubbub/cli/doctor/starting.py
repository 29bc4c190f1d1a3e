"""How it is started and ended: `hubbub serve` as its settings say, or another server as its command line says.

uvicorn's line is read by uvicorn's own command, so what is a default there is one here, and its UVICORN_… variables
count. So is gunicorn's, with its configuration file and GUNICORN_CMD_ARGS; of it the worker class is imported, because
the settings stand in it.
"""

import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from hubbub.auth.redaction import harmless, redact
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError
from hubbub.options import Limits

#: Kubernetes' own, and what systemd and Docker give at least or nearly: within so long a worker has to be gone.
_GIVEN = 30.0
#: What `hubbub serve` allows a worker beyond drain and grace.
_MARGIN = 5.0
#: What nginx and AWS's balancer keep an idle HTTP connection for.
_KEPT = 60
_SLOWER = {
    "hypercorn": "its workers get no signal, so nobody is told at a stop, unless -w 0",
    "granian": "nobody is told at a stop",
    "daphne": "it runs no lifespan, and keeps most close codes to itself",
}
_DEFLATE = "--ws-per-message-deflate false"


@dataclass(frozen=True, slots=True)
class Started:
    """`ours`: by hubbub serve. `workers`: as far as the command line or WEB_CONCURRENCY says."""

    ours: bool
    workers: int
    findings: list[Finding] = field(default_factory=list)


def started(command: str | None, settings: Settings, limits: Limits) -> Started:
    """Raises ConfigurationError for a command that cannot be read."""
    if command is None:
        return Started(True, settings.workers, list(_by_us(settings, limits)))
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(f"--server: {error}") from None
    for at, word in enumerate(words):
        name, rest = Path(word).name, words[at + 1 :]
        if name == "uvicorn":
            return _uvicorn(_read_uvicorn(rest), limits)
        if name == "gunicorn":
            return _gunicorn(rest, limits)
        if name == "fastapi":
            return _fastapi(rest)
        if name in _SLOWER:
            said = f"{name}: sockets by ASGI, which is slower; {_SLOWER[name]}"
            do = "hubbub serve, uvicorn or gunicorn with uvicorn's worker (docs/howto/servers.md)"
            return Started(False, _concurrency(), [Finding(About.SERVER, "weak", said, do)])
        if name == "hubbub":
            raise ConfigurationError("--server is for other servers: leave it out for hubbub serve")
    raise ConfigurationError('--server is a command like "uvicorn main:app", "gunicorn …" or "fastapi run"')


def _by_us(settings: Settings, limits: Limits) -> Iterator[Finding]:
    yield Finding(About.SERVER, "ok", "hubbub serve, with the fast transport; another one: --server COMMAND")
    takes = settings.drain / 2 + limits.closing + settings.grace + _MARGIN
    if takes > _GIVEN:
        said = f"a worker may take {takes:g} s to end, and is killed after {_GIVEN:g} s where nothing else is said"
        do = f"terminationGracePeriodSeconds: {takes:.0f}, TimeoutStopSec={takes:.0f}; or a shorter --grace, --drain"
        yield Finding(About.GRACEFUL_TIMEOUT, "weak", said, do)
    elif settings.grace == 0:
        do = "--grace 10 (HUBBUB_GRACE)"
        yield Finding(About.GRACEFUL_TIMEOUT, "weak", "0: requests are cut off in the middle when it ends", do)
    else:
        yield Finding(About.GRACEFUL_TIMEOUT, "ok", f"a worker is gone within {takes:g} s: wait so long before SIGKILL")
    yield from _message_size(settings.max_message, limits, "--max-message (HUBBUB_MAX_MESSAGE)")
    yield from _keep_alive(settings.timeout_keep_alive, "--timeout-keep-alive 75 (HUBBUB_TIMEOUT_KEEP_ALIVE)")


def _read_uvicorn(words: Sequence[str]) -> dict[str, Any]:
    """As uvicorn's command does, without running it."""
    import click
    from uvicorn.main import main

    try:
        with main.make_context("uvicorn", list(words), auto_envvar_prefix="UVICORN") as context:
            return dict(context.params)
    except click.exceptions.Exit:
        raise ConfigurationError("--server: that prints help, and starts nothing") from None
    except click.ClickException as error:
        raise ConfigurationError(f"--server: uvicorn does not take it: {error.format_message()}") from None


def _uvicorn(given: dict[str, Any], limits: Limits) -> Started:
    workers = max(int(given.get("workers") or 0), _concurrency())
    ws = given.get("ws") or "auto"
    findings = [_transport("uvicorn", str(ws), "--ws")]
    findings += _graceful(given.get("timeout_graceful_shutdown"), "--timeout-graceful-shutdown 30")
    findings += _compressed(bool(given.get("ws_per_message_deflate", True)), _DEFLATE)
    findings += _message_size(int(given.get("ws_max_size") or 0), limits, "--ws-max-size")
    findings += _keep_alive(int(given.get("timeout_keep_alive") or 0), "--timeout-keep-alive 75")
    return Started(False, workers, findings)


def _fastapi(words: Sequence[str]) -> Started:
    said = _option(words, "--workers") or ""
    workers = max(_concurrency(), int(said) if said.isdecimal() else 0)
    do = "uvicorn with --timeout-graceful-shutdown 30, or hubbub serve: fastapi run has no flag for it"
    findings = [Finding(About.SERVER, "ok", "fastapi run, which is uvicorn, with the fast transport")]
    findings += _graceful(None, do)
    findings += _compressed(True, f"uvicorn with {_DEFLATE}, or hubbub serve: fastapi run has no flag for it")
    return Started(False, workers, findings)


class _Gunicorn(NamedTuple):
    """As the command line and what it has beside say. `kind`: the worker class, by its name as a rule."""

    kind: Any
    workers: int
    graceful_timeout: float
    keep_alive: int


def _read_gunicorn(words: Sequence[str]) -> _Gunicorn:
    """As gunicorn's command does, without running it. Raises ConfigurationError."""
    try:
        base = import_module("gunicorn.app.base")
    except ImportError:
        return _read_gunicorn_by_hand(words)

    class Reading(base.Application):  # type: ignore[misc, name-defined]
        def do_load_config(self) -> None:
            self.load_default_config()
            self.load_config()

        def init(self, *_: Any) -> None: ...

    told = io.StringIO()
    try:
        with _as_called(["gunicorn", *words]), redirect_stdout(told), redirect_stderr(told):
            settings = Reading().cfg.settings
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its configuration file does
        said = next(reversed(told.getvalue().strip().splitlines()), "") or f"{type(error).__name__}: {error}"
        said = harmless(redact(said), limit=600)
        raise ConfigurationError(f"--server: gunicorn does not take it: {said}") from None
    named = ("worker_class", "workers", "graceful_timeout", "keepalive")
    return _Gunicorn(*(settings[name].get() for name in named))


def _read_gunicorn_by_hand(words: Sequence[str]) -> _Gunicorn:
    """Where it is not installed, without what it has beside its line."""
    kind = _option(words, "-k", "--worker-class") or "sync"
    try:
        workers = int(_option(words, "-w", "--workers") or _concurrency())
        graceful = float(_option(words, "--graceful-timeout") or 30)
        return _Gunicorn(kind, workers, graceful, int(_option(words, "--keep-alive") or 2))
    except ValueError as error:
        raise ConfigurationError(f"--server: gunicorn does not take it: {error}") from None


@contextmanager
def _as_called(words: list[str]) -> Iterator[None]:
    """The arguments, and what a configuration file changes, put back afterwards."""
    before, path, here, environment = sys.argv, list(sys.path), Path.cwd(), dict(os.environ)
    sys.argv = words
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before, path
        os.chdir(here)
        os.environ.clear()
        os.environ.update(environment)


def _gunicorn(words: Sequence[str], limits: Limits) -> Started:
    given = _read_gunicorn(words)
    name = given.kind if isinstance(given.kind, str) else given.kind.__name__
    workers = max(_concurrency(), given.workers)
    findings = []
    if given.workers not in (1, _concurrency()):
        said = "-w: a hub cannot see how many workers there are, and would not refuse to run without a broker"
        findings.append(Finding(About.WORKERS, "weak", said, "WEB_CONCURRENCY=N instead of -w N"))
    if name == "asgi":
        do = "-k uvicorn_worker.UvicornWorker (pip install uvicorn-worker)"
        findings.append(Finding(About.SERVER, "weak", "gunicorn -k asgi: sockets by ASGI, which is slower", do))
        return Started(False, workers, findings)
    kwargs = _worker_settings(given.kind)
    if kwargs is None:
        do = "-k uvicorn_worker.UvicornWorker (pip install uvicorn-worker)"
        said = f"gunicorn -k {name}: no worker of uvicorn's that imports here"
        findings.append(Finding(About.SERVER, "wrong", said, do))
        return Started(False, workers, findings)
    findings.append(_transport("gunicorn", str(kwargs.get("ws", "auto")), 'CONFIG_KWARGS["ws"]'))
    grace = kwargs.get("timeout_graceful_shutdown")
    findings += _graceful(grace, 'CONFIG_KWARGS["timeout_graceful_shutdown"] = 15')
    if grace is not None and given.graceful_timeout < (takes := limits.closing + float(grace) + 2.5):
        killed = given.graceful_timeout
        said = f"gunicorn kills a worker after {killed:g} s, and ending may take {takes:g} s and half the drain"
        findings.append(Finding(About.GRACEFUL_TIMEOUT, "weak", said, f"--graceful-timeout {takes + 5:.0f}"))
    deflate = bool(kwargs.get("ws_per_message_deflate", True))
    findings += _compressed(deflate, 'CONFIG_KWARGS["ws_per_message_deflate"] = False')
    findings += _message_size(int(kwargs.get("ws_max_size", 16 * 1024 * 1024)), limits, 'CONFIG_KWARGS["ws_max_size"]')
    kept = int(kwargs.get("timeout_keep_alive", given.keep_alive))
    findings += _keep_alive(kept, 'CONFIG_KWARGS["timeout_keep_alive"] = 75')
    return Started(False, workers, findings)


def _worker_settings(kind: Any) -> dict[str, Any] | None:
    """`CONFIG_KWARGS` of a worker class; None where it has none, or does not import."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        if isinstance(kind, str):
            module, _, attribute = kind.rpartition(".")
            kind = getattr(import_module(module), attribute)
        return dict(kind.CONFIG_KWARGS)
    except Exception:  # noqa: BLE001 - gunicorn would say why; here it is enough that it is not uvicorn's
        return None
    finally:
        sys.path.remove(str(Path.cwd()))


def _transport(server: str, ws: str, flag: str) -> Finding:
    if ws == "auto" or ws.startswith("hubbub."):
        return Finding(About.SERVER, "ok", f"{server}, with the fast transport")
    said = f"{server} with {flag} {ws}: sockets by ASGI, which is slower"
    return Finding(About.SERVER, "weak", said, f"leave {flag} out: the hub brings the fast one")


def _graceful(seconds: float | None, do: str) -> Iterator[Finding]:
    if seconds is None:
        said = "not set: one reader that has stalled, or one long request, keeps the server from ending, for ever"
        yield Finding(About.GRACEFUL_TIMEOUT, "weak", said, do)
    else:
        yield Finding(About.GRACEFUL_TIMEOUT, "ok", f"{float(seconds):g} s after the drain")


def _compressed(on: bool, do: str) -> Iterator[Finding]:
    if on:
        said = "on: it takes memory for each connection, and little messages gain nothing"
        yield Finding(About.COMPRESSION, "weak", said, do)
    else:
        yield Finding(About.COMPRESSION, "ok", "off")


def _message_size(most: int, limits: Limits, flag: str) -> Iterator[Finding]:
    if most < limits.message:
        said = f"the server reads no message of more than {most} bytes, and Limits.message is {limits.message}"
        yield Finding(About.MESSAGE_SIZE, "wrong", said, f"{flag} {limits.message}, or a smaller Limits(message=)")
    elif most > 4 * limits.message:
        said = f"the server reads messages of {most} bytes before a hub can refuse what is more than {limits.message}"
        yield Finding(About.MESSAGE_SIZE, "weak", said, f"{flag} {limits.message}")
    else:
        yield Finding(About.MESSAGE_SIZE, "ok", f"{most} bytes")


def _keep_alive(seconds: int, do: str) -> Iterator[Finding]:
    if seconds <= _KEPT:
        said = f"{seconds} s: a proxy that keeps idle HTTP connections for {_KEPT} s meets closed ones, which is a 502"
        yield Finding(About.KEEP_ALIVE, "weak", said, do)
    else:
        yield Finding(About.KEEP_ALIVE, "ok", f"{seconds} s")


def _option(words: Sequence[str], *names: str) -> str | None:
    """What was given last, as `--name VALUE` or `--name=VALUE`; of one letter as `-nVALUE` too."""
    found = None
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            found = value if equals else next(iter(words[at + 1 :]), None)
        elif word[:2] in names and len(word) > 2 and word[1] != "-":
            found = word[2:]
    return found


def _concurrency() -> int:
    said = os.environ.get("WEB_CONCURRENCY", "")
    return int(said) if said.isdecimal() else 1
