"""The fast transport without a flag: a server that was not told which WebSocket class to use gets ours.

uvicorn loads its protocol classes before it imports the application, so an import is too late to choose one; but it
makes them anew for every socket, from its configuration, and takes no socket before the lifespan has started. So a hub
that starts in uvicorn's lifespan puts our class there. The configuration is that of the server whose lifespan this is,
found by the task that runs it: behind the handlers of signals (`server_process.py`) is the last server of a process,
which need not be this one, and off the main thread none. A hub that is started by a request finds it as well, for the
sockets that come after; one that a task of the application's own starts says that it does not.

What an operator has chosen stays: any `--ws`, uvicorn's own class by name too, and `--http` in any case, because what
bounds requests is no affair of a hub that nobody asked. Elsewhere, and where it was chosen, a hub says once that it is
slower than it might be. HUBBUB_TRANSPORT=asgi says that this is meant.
"""

import asyncio
import logging
import sys
import weakref
from contextlib import suppress
from types import FrameType
from typing import Any

from hubbub.hub.server_process import ServerProcess
from hubbub.ports.logs import Event, fields
from hubbub.transports import PROTOCOL
from hubbub.transports.environment import wants_fast

_log = logging.getLogger("hubbub.server")

# What a package is called by those who type it.
_SERVERS = {"uvicorn": "uvicorn", "hypercorn": "Hypercorn", "granian": "Granian", "gunicorn": "gunicorn -k asgi"}
_DAPHNE = "daphne.server"

_INSTEAD = (
    "hubbub serve, fastapi run, uvicorn and gunicorn with uvicorn's worker have the fast transport, where they are not "
    "told another --ws. HUBBUB_TRANSPORT=asgi says that this is meant"
)

_told: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def take_fast_transport() -> None:
    """Call where a hub starts. Raises ConfigurationError for a HUBBUB_TRANSPORT that is none."""
    if not wants_fast():
        return
    frame = _outermost_of_this_task()
    server = str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame is not None else ""
    if frame is not None and server == "uvicorn":
        _of_uvicorn(_configuration_of(frame.f_locals.get("self")))
    elif server in _SERVERS:
        _tell_once(f"{_SERVERS[server]} has no other")
    elif _DAPHNE in sys.modules:
        _tell_once("Daphne has no other")
    elif (behind := getattr(ServerProcess().server, "config", None)) is not None and not _is_ours(behind):
        _tell_once("it was started by a task of the application's own, and not in the server's lifespan")


def _configuration_of(runner: Any) -> Any:
    """What uvicorn's task is a method of knows it: a lifespan, a WebSocket, or of a request its socket's protocol."""
    if (config := getattr(runner, "config", None)) is not None:
        return config
    with suppress(AttributeError):
        return runner.transport.get_protocol().config
    return None


def _is_ours(config: Any) -> bool:
    with suppress(Exception):
        from hubbub.transports.uvicorn import HubbubProtocol

        return issubclass(config.ws_protocol_class, HubbubProtocol)
    return False


def _of_uvicorn(config: Any) -> None:
    try:
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

        from hubbub.transports.uvicorn import HubbubProtocol
    # Made for the insides of uvicorn, ours may meet a later one in which anything is different.
    except Exception as error:  # noqa: BLE001
        _tell_once(f"the fast one does not fit this uvicorn: {type(error).__name__}")
        return
    if _is_ours(config):
        return
    if config is None:
        _tell_once("this uvicorn's configuration was not found")
    elif config.ws == "auto" and config.ws_protocol_class is WebSocketsSansIOProtocol:
        config.ws_protocol_class = HubbubProtocol
        _log.info(
            "sockets have the fast transport, %s: uvicorn was not told which. HUBBUB_TRANSPORT=asgi leaves it its own",
            PROTOCOL,
            extra=fields(Event.FAST_TRANSPORT),
        )
    else:
        chosen = config.ws if isinstance(config.ws, str) else getattr(config.ws, "__name__", type(config.ws).__name__)
        _tell_once(f"uvicorn was told --ws {chosen}")


def _tell_once(why: str) -> None:
    """For all hubs of a worker."""
    loop = asyncio.get_running_loop()
    if loop not in _told:
        _told.add(loop)
        _log.warning(
            "a hub's sockets go through ASGI, slower than they could: %s. %s",
            why,
            _INSTEAD,
            extra=fields(Event.SLOW_TRANSPORT, cause=why),
        )


def _outermost_of_this_task() -> FrameType | None:
    """That of the coroutine which the task was made of: in a lifespan, the server's."""
    task = asyncio.current_task()
    frame = getattr(task.get_coro(), "cr_frame", None) if task is not None else None
    return frame if isinstance(frame, FrameType) else None
