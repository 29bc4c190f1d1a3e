"""Which hub serves a request: the one of its application."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from hubbub.errors import ConfigurationError
from hubbub.hub.hub import Hub, running_hubs

_GIVEN = "Depends(lambda: hub); publishing() and operations() take it as hub="


def current_hub(connection: HTTPConnection) -> Hub:
    """The hub of the application that serves this request. Raises ConfigurationError unless it has exactly one.

    One that has started with the application is known by the lifespan's state. A mounted application has no lifespan,
    and some servers pass no state on: then it is the one whose router the application includes, itself or mounted.
    """
    hubs = running_hubs(connection.scope) or list(dict.fromkeys(_included(connection.scope)))
    if len(hubs) == 1:
        return hubs[0]
    if hubs:
        raise ConfigurationError(f"this application has several hubs: depend on the one you mean, {_GIVEN}")
    raise ConfigurationError(
        "this application has no running hub: app.include_router(hub.router), and run its lifespan; where the hub is "
        f"another application's, as of one that mounts this one, name it: {_GIVEN}"
    )


def hub_or_current(hub: Hub | None) -> Callable[..., Hub]:
    """The dependency of a router that may be given its hub."""
    return current_hub if hub is None else lambda: hub


def _included(scope: Any) -> Iterator[Hub]:
    return _hubs_of(getattr(scope.get("app"), "routes", None) or ())


def _hubs_of(routes: Iterable[Any]) -> Iterator[Hub]:
    for route in routes:
        owner = getattr(getattr(route, "endpoint", None), "__self__", None)
        if isinstance(owner, Hub):
            yield owner
        # A mounted application has routes; what a router includes newer versions of FastAPI keep as it was.
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        yield from _hubs_of(inner or ())


#: In a path operation, a handler or a service: `hub: HubDep`.
HubDep = Annotated[Hub, Depends(current_hub)]
