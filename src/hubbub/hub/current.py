"""Which hub serves a request: the one of its application."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from hubbub.errors import ConfigurationError
from hubbub.hub import included
from hubbub.hub.hub import Hub, running_hubs
from hubbub.protocol.handshake import CONNECTED

_GIVEN = "Depends(lambda: hub); publishing() and operations() take it as hub="


def current_hub(connection: HTTPConnection) -> Hub:
    """The hub of the application that serves this request. Raises ConfigurationError unless it has exactly one.

    In a handler it is the hub of the connection. Else the one whose router the application includes, or one that it
    mounts; where there is none, that of the application that mounts this one, and so on outwards.
    """
    hubs = list(dict.fromkeys(_hubs(connection.scope)))
    if len(hubs) == 1:
        return hubs[0]
    if hubs:
        raise ConfigurationError(f"this application has several hubs: depend on the one you mean, {_GIVEN}")
    raise ConfigurationError(
        "neither this application nor one that mounts it has a hub: app.include_router(hub.router); where the hub is "
        f"another application's, name it: {_GIVEN}"
    )


def hub_or_current(hub: Hub | None) -> Callable[..., Hub]:
    """The dependency of a router that may be given its hub."""
    return current_hub if hub is None else lambda: hub


def _hubs(scope: Mapping[str, Any]) -> list[Hub]:
    if CONNECTED in scope:
        return [scope[CONNECTED]]
    started = running_hubs(scope)
    if started and included.is_outermost(scope):
        return started  # what its routes say, without a look at all of them
    for application in included.outwards(scope):
        found = list(_only_hubs(included.owners(application))) or [
            hub for _, hub in included.everywhere(application) if isinstance(hub, Hub)
        ]
        if found:
            return found
    return started


def _only_hubs(owners: Iterator[object]) -> Iterator[Hub]:
    return (owner for owner in owners if isinstance(owner, Hub))


#: In a path operation, a handler or a service: `hub: HubDep`.
HubDep = Annotated[Hub, Depends(current_hub)]
