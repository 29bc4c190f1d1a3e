"""Why a hub does not run that somebody asks for something: told by name, because each cause has another remedy."""

from collections.abc import Mapping
from typing import Any

from hubbub.errors import ConfigurationError

_STARTS = "this hub is not running: app.include_router(hub.router) starts it with the application"
_OTHERWISE = "otherwise start it yourself: async with hub.running()"


def not_running(scope: Mapping[str, Any] | None = None) -> ConfigurationError:
    """`scope`: of the request or handshake that needs it, where there is one."""
    if scope is None:
        return ConfigurationError(
            f"{_STARTS}, where that is the outermost one and its lifespan is run (Daphne runs none, nor does "
            f"TestClient without `with`); {_OTHERWISE}"
        )
    prefix = str(scope.get("root_path", "")).removeprefix(str(scope.get("app_root_path", "")))
    if prefix and "app_root_path" in scope:
        return ConfigurationError(
            f"{_STARTS}, but the application is mounted at {prefix!r}, and Starlette runs the lifespan of the "
            f"outermost one only: include the router there (prefix={prefix!r}), or put into its lifespan: "
            "async with hub.running()"
        )
    if "state" not in scope:
        return ConfigurationError(
            f"{_STARTS}, but this server runs no lifespan (Daphne does not): use one that does, or {_OTHERWISE}"
        )
    return ConfigurationError(f"{_STARTS}, where its lifespan is run (`--lifespan off` does not); {_OTHERWISE}")


def another_loop() -> ConfigurationError:
    return ConfigurationError(
        "this hub runs in another event loop already, and a hub belongs to one: do not serve one application by a "
        "server in a thread and a TestClient, or in two tests with a loop each, at the same time; make a hub and an "
        "application for each of them, by a function"
    )
