"""Why a hub does not run that somebody asks for something: told by name, because each cause has another remedy.

Who asks is on the stack: a request, a handshake, or an application's lifespan, each with its scope. Without a scope
(in a task of its own, in a thread) only the usual causes can be said.
"""

import sys
import traceback
from collections.abc import Mapping
from typing import Any

from hubbub.errors import ConfigurationError
from hubbub.hub import included
from hubbub.hub.server_process import ServerProcess
from hubbub.scheduling.home_loop import running_loop

_TYPES = ("http", "websocket", "lifespan")
_OTHERWISE = "or start it yourself: async with hub.running()"
_INCLUDE = f"app.include_router(hub.router) starts it with the application, {_OTHERWISE}"


def not_running(hub: object, scope: Mapping[str, Any] | None = None, *, stopped: bool = False) -> ConfigurationError:
    """`scope`: of the request or handshake that needs it, where it is at hand. `stopped`: it has run before."""
    scope = scope or _scope_of_the_caller()
    now = "is not running any more" if stopped else "is not running"
    return ConfigurationError(f"this hub {now}: {_cause(hub, scope, stopped=stopped)}")


def another_loop() -> ConfigurationError:
    return ConfigurationError(
        "this hub runs in another event loop already, and a hub belongs to one: do not serve one application by a "
        "server in a thread and a TestClient, or in two tests with a loop each, at the same time; make a hub and an "
        "application for each of them, by a function. Where a fixture of a wider scope (module, session) has started "
        "it, the tests that use it need its loop: loop_scope= of pytest-asyncio"
    )


def _cause(hub: object, scope: Mapping[str, Any] | None, *, stopped: bool) -> str:
    if scope is None:
        if running_loop() is None and not stopped:
            return f"{_INCLUDE}; and nothing can be asked of it where no event loop runs, as at import"
        return (
            f"{_INCLUDE}, where that application is the outermost one and its lifespan is run (Daphne runs none, nor "
            "does TestClient without `with`, nor httpx)"
        )
    places = _places(hub, scope)
    mount = _mounted_at(scope, places)
    if mount:
        return (
            f"its application is mounted at {mount!r}, and Starlette runs the lifespan of the outermost one only: "
            f"include the router there, app.include_router(hub.router, prefix={mount!r}), or run the hub in that "
            "lifespan: async with hub.running(): yield"
        )
    if scope["type"] == "lifespan" and places:
        when = "has stopped when the lifespan goes on after" if stopped else "starts when the lifespan is at"
        return (
            "its router is included, but FastAPI runs the application's own lifespan around the router's: the hub "
            f"{when} its `yield`. Put all of it into `async with hub.running():`, the `yield` too; starts are "
            "counted. In functions of on_event, await hub.start() first and hub.stop() last"
        )
    if not places:
        return f"the application does not include its router: {_INCLUDE}"
    if "state" not in scope:
        return (
            "app.include_router(hub.router) starts it with the application's lifespan, and nobody runs that: Daphne "
            "does not, nor httpx's ASGITransport (hubbub.testing.Node does): use a server that does, "
            f"{_OTHERWISE}"
        )
    if ServerProcess().without_lifespan:
        return f"app.include_router(hub.router) starts it with the lifespan, and this server runs none: {_OTHERWISE}"
    return (
        "app.include_router(hub.router) starts it with the application's lifespan, and none was run (`--lifespan off`, "
        "TestClient without `with`), or one that does not know the router: because `lifespan_context` was replaced "
        "after the router was included, or because the router was included in another router after that one had been "
        f"included itself; {_OTHERWISE}"
    )


def _places(hub: object, scope: Mapping[str, Any]) -> list[str]:
    """Where the outermost application has the hub: mounted at which paths, "" where it includes it."""
    applications = included.outwards(scope)
    return [path for path, owner in included.everywhere(applications[-1]) if owner is hub] if applications else []


def _mounted_at(scope: Mapping[str, Any], places: list[str]) -> str:
    if places:
        return "" if "" in places else places[0]
    # The outermost one is not Starlette's, or keeps its routes to itself; its mount is in the path all the same.
    if "app_root_path" in scope:
        return str(scope.get("root_path", "")).removeprefix(str(scope["app_root_path"]))
    return ""


def _scope_of_the_caller() -> Mapping[str, Any] | None:
    here = sys._getframe(1)  # noqa: SLF001 - the name is old, the function is documented
    for frame, _ in traceback.walk_stack(here):
        scope = frame.f_locals.get("scope")
        if isinstance(scope, Mapping) and scope.get("type") in _TYPES and "app" in scope:
            return scope
        if frame.f_code.co_name == "merged_lifespan":  # FastAPI's, and whoever runs it is no server
            return {"type": "lifespan", "app": frame.f_locals.get("app")}
    return None
