"""Whether anybody could tell when the ASGI call of the hub's own route ends.

A socket of our own needs no call once it is accepted, and a call that waits is most of what an idle connection would
cost. But whoever stands around the call may have something to do at its end, and means the end of the socket: a
middleware's `finally`, the second half of a dependency, a span. What awaits a call is on the stack, and nothing else
is: asking the application for its middleware would miss what is wrapped around it, and what it is mounted in.
"""

import sys
from collections.abc import Mapping
from typing import Any

#: Their own middleware does nothing after a WebSocket; what an application derives from it is the application's.
_SILENT = frozenset({"fastapi", "hubbub", "starlette", "uvicorn"})

#: The lowest of our own: what is below called the server.
_SERVER = "hubbub.transports.uvicorn"

_EXIT_STACKS = ("fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack")


def is_watched(scope: Mapping[str, Any]) -> bool:
    """To be asked within the call, of its scope."""
    if scope.get("fastapi.telemetry") is not None:
        return True  # FastAPI's own spans
    if any(getattr(scope.get(name), "_exit_callbacks", ()) for name in _EXIT_STACKS):
        return True
    frame = sys._getframe()  # noqa: SLF001 - the name is old, the function is documented
    while (module := frame.f_globals.get("__name__", "")) != _SERVER:
        if module.partition(".")[0] not in _SILENT or frame.f_back is None:
            return True
        frame = frame.f_back
    return False
