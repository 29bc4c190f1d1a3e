"""What the hub itself gives to an application's functions, by the annotations of their parameters, at any depth.

FastAPI would take such a parameter from the query string or refuse it. So of a dependency that has one it is shown a
view, in which the parameter is one more dependency, on a function that gives what the message is handled with. FastAPI
resolves that, caches it for the message and tears it down as all others, and needs not know that there is a hub. What
asks for nothing of the hub's, itself or further down, is left as it is.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial, update_wrapper
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi.params import Depends
from starlette.websockets import WebSocket

from hubbub.errors import ConfigurationError
from hubbub.handlers.models import named, parts_of
from hubbub.handlers.signatures import filled_of, name_for, parameters_of, unresolved
from hubbub.types import User

#: Where each value stands among the hub's own.
MESSAGE, CALLER, USER, HUB = PLACES = range(4)

#: Where in the scope of a message's dependencies the hub's own values are.
OWN: Final = "hubbub.own"


class OwnValues:
    """`message`: the declared model or union, None for a function that handles none. `caller`: the type of who asks.

    `hub`: what a parameter of its class gets, None for nothing. `lacking`: those of the types that are not there.
    """

    def __init__(self, message: Any, caller: type, hub: object, lacking: Collection[type] = ()) -> None:
        # It may be annotated `Hub` where it is of a class that inherits from that.
        hubs = () if hub is None else type(hub).__mro__[:-1]
        models = () if message is None else parts_of(message)
        self._kinds: dict[int, tuple[Any, ...]] = {MESSAGE: models, CALLER: (caller,), USER: (User,), HUB: hubs}
        self._all = [kind for kinds in self._kinds.values() for kind in kinds]
        self._lacking = lacking
        self.hub = hub

    def place_of(self, parameter: inspect.Parameter, name: str) -> int | None:
        """Which of them is for this parameter of the function `name`, None where others fill it.

        Raises ConfigurationError where it may be one of them or something else, and for one that is not there.
        """
        marker = depends(parameter)
        if marker is not None and marker.dependency not in self._all:
            return None  # `Annotated[User, Depends()]` asks for the user, and not for one made of query parameters
        # Compared, not hashed: an annotation holds what it likes.
        parts = parts_of(parameter.annotation)
        for place, kinds in self._kinds.items():
            if not any(part in kinds for part in parts):
                continue
            missing = [kind for kind in kinds if kind not in parts] if place == MESSAGE else []
            if missing or any(part not in kinds for part in parts):
                wanted = " | ".join(kind.__name__ for kind in (kinds if place == MESSAGE else kinds[:1]))
                raise ConfigurationError(
                    f"{name}: {parameter.name!r} is annotated {shown(parameter.annotation)}; the hub always has it, "
                    f"and it is nothing else: write {wanted}"
                )
            if parts[0] in self._lacking:
                raise ConfigurationError(f"{name}: {parameter.name!r}: no {shown(parts[0])} is the cause of its call")
            return place
        return None

    def shown_to_fastapi(self, parameter: inspect.Parameter, name: str) -> inspect.Parameter:
        """The same parameter, unless it is the hub's own or depends on what has some. Raises as `place_of`."""
        place, marker = self.place_of(parameter, name), depends(parameter)
        if place is not None:
            marker = Depends(_GIVERS[place])
        elif marker is not None:
            view = self.view(marker.dependency, name)
            marker = None if view is marker.dependency else replace(marker, dependency=view)
        if marker is None:
            if isinstance(parameter.annotation, str) and depends(parameter) is None:
                raise unresolved(parameter.annotation, name)
            return parameter
        # By name, as FastAPI passes all: one with a default may stand before it. Not by `Annotated[Any, marker]`, which
        # `typing` looks up among those that are equal: it would be another's, a view for another message even.
        return inspect.Parameter(parameter.name, parameter.KEYWORD_ONLY, default=marker, annotation=Any)

    def view(self, function: Any, name: str) -> Any:
        """Of a dependency of `name`: itself, unless it takes what is the hub's own, or depends on what does.

        Or is a partial that has filled some: those are not to be seen.
        """
        parameters = parameters_of(function)
        seen = [self.shown_to_fastapi(each, name_for(function, name)) for each in parameters]
        same = not filled_of(function) and all(one is other for one, other in zip(parameters, seen, strict=True))
        return function if same else _View(function, seen)


class _View:
    """A function whose signature is another. Equal to it: by that FastAPI caches, and knows what is overridden."""

    def __init__(self, function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> None:
        self._function = function
        inner = function
        while isinstance(inner, partial):
            inner = inner.func
        # What kind of function it is, FastAPI looks up there.
        update_wrapper(self, inner, updated=())
        by_name = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters]
        self.__signature__ = inspect.Signature(by_name)

    def __call__(self, **values: Any) -> Any:
        return self._function(**values)

    def __eq__(self, other: object) -> bool:
        return self._function == (other._function if isinstance(other, _View) else other)

    def __hash__(self) -> int:
        return hash(self._function)


def depends(parameter: inspect.Parameter) -> Depends | None:
    """What says that it is a dependency, and on what: where nothing is said, on its annotation."""
    annotation = named(parameter.annotation)
    kind, *metadata = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    markers = [each for each in (*metadata, parameter.default) if isinstance(each, Depends)]
    if not markers:
        return None
    return markers[-1] if markers[-1].dependency is not None else replace(markers[-1], dependency=kind)


def shown(annotation: Any) -> str:
    """As an application wrote it, more or less."""
    return annotation.__qualname__ if inspect.isclass(annotation) else str(annotation)


def _giver(place: int) -> Callable[[WebSocket], Any]:
    async def give(websocket: WebSocket) -> Any:
        own = websocket.scope[OWN]
        # The user is looked up for those who want it.
        return own[CALLER].user if place == USER else own[place]

    return give


_GIVERS = [_giver(place) for place in PLACES]
