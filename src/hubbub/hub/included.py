"""Where an application has the routes of a hub: in itself, in a router it includes, in an application it mounts.

An application is asked, and not what its lifespan has left in a request's state: httpx and some servers pass no state
on, a mounted application has no lifespan, and a test may run the hub without one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_DEEP = 16
"""Applications in one another. More is a circle."""


def owners(application: Any) -> Iterator[object]:
    """Whose methods are the endpoints of an application's own routes."""
    for route in _own_routes(_routes(application)):
        owner = getattr(getattr(route, "endpoint", None), "__self__", None)
        if owner is not None:
            yield owner


def mounted(application: Any) -> Iterator[tuple[str, Any]]:
    """What it mounts, each with its path."""
    for route in _own_routes(_routes(application)):
        inner = getattr(route, "app", None)
        if inner is not None and not hasattr(route, "endpoint"):
            yield getattr(route, "path", ""), route


def everywhere(application: Any, *, deep: int = _DEEP) -> Iterator[tuple[str, object]]:
    """As `owners`, of what it mounts too: each with the path it is mounted at, "" where it is its own."""
    for owner in owners(application):
        yield "", owner
    if deep:
        for path, inner in mounted(application):
            for below, owner in everywhere(inner, deep=deep - 1):
                yield path + below, owner


def outwards(scope: Mapping[str, Any]) -> list[Any]:
    """The application that serves a request, the one that mounts it, and so on to the outermost."""
    app = scope.get("app")
    # Starlette sets it once, where the request comes in, and `app` anew in each application that is mounted.
    outermost = scope.get("router")
    way = _way(outermost, app, _DEEP) if outermost is not None else None
    return way or ([] if app is None else [app])


def is_outermost(scope: Mapping[str, Any]) -> bool:
    router = scope.get("router")
    return router is None or getattr(scope.get("app"), "router", router) is router


def _way(application: Any, app: Any, deep: int) -> list[Any] | None:
    if application is app or getattr(app, "router", app) is application or getattr(application, "app", None) is app:
        return [app]
    if deep:
        for _, inner in mounted(application):
            way = _way(inner, app, deep - 1)
            if way is not None:
                return [*way, application]
    return None


def _routes(application: Any) -> Iterable[Any]:
    """Also of one that stands behind middleware that keeps it as `app`."""
    for _ in range(_DEEP):
        routes = getattr(application, "routes", None)
        if routes:
            return list(routes)
        application = getattr(application, "app", None)
    return ()


def _own_routes(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        # What a router includes newer versions of FastAPI keep as it was.
        included = getattr(getattr(route, "original_router", None), "routes", None)
        if included is None:
            yield route
        else:
            yield from _own_routes(included)
