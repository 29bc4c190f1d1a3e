"""A handshake's scope, kept small for as long as a connection lives.

Dependencies of handlers find headers, cookies, path and application state in it, but most connections are idle and
most handlers have no dependencies. As ASGI gives it, it is three to five kilobytes: a dictionary, a list of headers,
and what the framework put there for the length of its call. Here it is what this connection has and others have not:
a connection of the hub's own route has the rest in common with all that came by it, until a call changes something.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeAlias

# FastAPI's exit stacks: they belong to the call that accepted the socket, and are over with it.
_TRANSIENT = frozenset({"fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack"})

#: What scopes of one shape have in common, by the names in them.
Usual: TypeAlias = dict[tuple[str, ...], Mapping[str, Any]]

# What may be had in common where it is equal: whoever asks is given a copy. All else only where it is the very same.
_EQUAL = frozenset(
    {
        "asgi",
        "extensions",
        "fastapi",
        "http_version",
        "path",
        "path_params",
        "raw_path",
        "root_path",
        "scheme",
        "server",
        "starlette.exception_handlers",
    }
)
#: In the scope: the hub whose connection it is.
CONNECTED = "hubbub.hub"
_VERY_SAME = frozenset({"app", "app_root_path", CONNECTED, "endpoint", "route", "router", "subprotocols", "type"})

#: Stands for subprotocols that are those of the headers.
_IN_HEADERS: Final = object()


class Handshake:
    """`scope()` is an equal scope, new each time. `usual`: shared by connections whose `state` nobody else has."""

    __slots__ = ("_headers", "_names", "_usual", "_values")

    _shapes: ClassVar[dict[tuple[Any, ...], tuple[Any, ...]]] = {}

    def __init__(self, scope: Mapping[str, Any], usual: Usual | None = None) -> None:
        headers = scope.get("headers", ())
        # Neither names nor values can have a line break: RFC 9110 section 5.5.
        self._headers = b"\n".join([part for header in headers for part in header])
        kept = {key: value for key, value in scope.items() if key not in _TRANSIENT and key != "headers"}
        if kept.get("subprotocols") == _offered(headers):
            kept["subprotocols"] = _IN_HEADERS
        self._usual: Mapping[str, Any] | None = None
        own: dict[Any, Any] = kept
        if usual is not None:
            shared = {key: value for key, value in kept.items() if key in _EQUAL or key in _VERY_SAME}
            if "state" in kept:
                shared["state"] = None  # that there is one; what is in it is each connection's own
            common = self._usual = usual.setdefault(tuple(kept), shared)
            own = {
                key: value
                for key, value in kept.items()
                if key not in common or not (value is common[key] or (key in _EQUAL and value == common[key]))
            }
            # Each of it by itself: a dictionary would be most of what is kept.
            own |= {("state", key): value for key, value in own.pop("state", {}).items()}
        self._keep(own)

    def scope(self) -> dict[str, Any]:
        scope = self._whole()
        parts = self._headers.split(b"\n") if self._headers else []
        scope["headers"] = list(zip(parts[::2], parts[1::2], strict=True))
        if scope.get("subprotocols") is _IN_HEADERS:
            scope["subprotocols"] = _offered(scope["headers"])
        return scope

    def keep(self, scope: Mapping[str, Any]) -> None:
        """To be called with a scope that was asked for and used: what was put into its parts the next one has, too."""
        if self._usual is None:
            return
        whole = self._whole()
        parts = [(key, scope.get(key), value) for key, value in whole.items() if isinstance(value, dict)]
        changed = {key: now for key, now, value in parts if isinstance(now, dict) and not _holds_the_same(now, value)}
        if changed:
            self._usual = None
            self._keep(whole | changed)

    def _whole(self) -> dict[str, Any]:
        """All but the headers; of what others have as well, a copy."""
        own = dict(zip(self._names, self._values, strict=True))
        if self._usual is None:
            return own
        whole: dict[str, Any] = {
            key: dict(value) if isinstance(value, dict) and key in _EQUAL else value
            for key, value in self._usual.items()
        }
        if "state" in whole:
            whole["state"] = {}
        for name, value in own.items():
            if isinstance(name, tuple):
                whole["state"][name[1]] = value
            else:
                whole[name] = value
        return whole

    def _keep(self, own: Mapping[Any, Any]) -> None:
        names = tuple(own)
        # A server and an application make scopes of one shape or two, so the names are there once.
        self._names = self._shapes.setdefault(names, names)
        self._values = tuple(own.values())


def _holds_the_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key] is value for key, value in other.items())


def _offered(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The subprotocols a client offers, RFC 6455 section 4.2.2, as servers put them into the scope."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
    return [token.strip() for line in lines for token in line.split(",")]
