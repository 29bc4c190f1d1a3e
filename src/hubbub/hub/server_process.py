"""The server process that a hub runs in: what uvicorn says of itself, and what the environment does.

An application is not handed its server. But uvicorn installs a method of its server as the handler of the signals that
end it, and there it can be found; a hub that runs has put its own handler before that one (`hub/signals.py`). Under
another server nothing is found, and whoever asks gets what holds without one.
"""

import logging
import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hubbub.hub.client_address import Proxies
from hubbub.options import Limits
from hubbub.ports.logs import Event, fields
from hubbub.transports.descriptors import descriptors

_log = logging.getLogger("hubbub.server")

_MEMORY = "memory"

#: The signals that tell a server to end.
ENDING = (signal.SIGTERM, signal.SIGINT)


class ServerProcess:
    """The server behind these handlers of signals, default those that are installed now."""

    def __init__(self, handlers: Iterable[object] | None = None) -> None:
        installed = map(signal.getsignal, ENDING) if handlers is None else handlers
        self.server: Any = next((server for server in map(_owner, installed) if hasattr(server, "config")), None)
        """uvicorn's; None where none was found."""

    @property
    def reloads(self) -> bool:
        """Whether it starts anew when the code changes."""
        return bool(self._configured("reload"))

    @property
    def without_lifespan(self) -> bool:
        """Whether it was told to run no lifespan."""
        return bool(self._configured("lifespan") == "off")

    @property
    def workers(self) -> int:
        """How many processes serve this application, as far as this one can know; 1 where nothing says otherwise.

        `hubbub serve` says it in HUBBUB_WORKERS, uvicorn and gunicorn take WEB_CONCURRENCY, and a running uvicorn
        server has it in its configuration.
        """
        known = (os.environ.get("HUBBUB_WORKERS"), os.environ.get("WEB_CONCURRENCY"), self._configured("workers"))
        return max([int(count) for count in known if count is not None and str(count).isdecimal()] or [1])

    def tell_of_limits(self, limits: Limits) -> None:
        """Warn where the server reads less than a message may have, or the process may open fewer sockets."""
        allowed = descriptors()
        if allowed is not None and allowed.for_clients < limits.connections and self._is_for_others:
            _log.warning(
                "Limits.connections is %d, but this process may open %d files, of which %d are for sockets: more are "
                "refused with 503. Raise the limit (ulimit -n, LimitNOFILE=), or say fewer connections",
                limits.connections,
                *(allowed.limit, allowed.for_clients),
                extra=fields(Event.LIMIT_BEYOND_SERVER),
            )
        most = self._configured("ws_max_size")
        if isinstance(most, int) and most < limits.message:
            _log.warning(
                "Limits.message is %d bytes, but the server reads no message of more than %d: raise that as well "
                "(hubbub serve --max-message, uvicorn --ws-max-size)",
                limits.message,
                most,
                extra=fields(Event.LIMIT_BEYOND_SERVER),
            )

    def tell_of_data(self, *, shared: bool) -> None:
        """Warn where data was to be kept, and the broker is this process's own memory."""
        if not shared and os.environ.get("HUBBUB_DATA"):
            # hubbub serve has told the workers of its broker: then it is the code that asks for another.
            why = (
                "the application names it in Hub(…), where HUBBUB_BROKER would be the one that does"
                if os.environ.get("HUBBUB_BROKER", _MEMORY) != _MEMORY
                else "that variable is for hubbub serve, which starts a broker that does"
            )
            _log.warning(
                "HUBBUB_DATA is set, but the broker is memory, and keeps nothing beyond this process: %s",
                why,
                extra=fields(Event.NOTHING_KEPT),
            )

    def believed(self, proxies: Proxies) -> Proxies:
        """Those that are named, and what the server makes of them."""
        believes_all = self._configured("forwarded_allow_ips") in ("*", ["*"]) and self._configured("proxy_headers")
        return replace(proxies, believes_all=bool(believes_all), unix_only=bool(self._configured("uds")))

    @property
    def _is_for_others(self) -> bool:
        """No test, and not on the developer's own machine."""
        return self.server is not None and not self.reloads and os.environ.get("HUBBUB_DEV") != "1"

    def _configured(self, name: str) -> Any:
        return getattr(getattr(self.server, "config", None), name, None)


def _owner(handler: object) -> Any:
    """Whose method a handler is. One that stands before a server's says so by a `server_process` of its own."""
    owner = getattr(handler, "__self__", None)
    process = getattr(owner, "server_process", None)
    return process.server if isinstance(process, ServerProcess) else owner
