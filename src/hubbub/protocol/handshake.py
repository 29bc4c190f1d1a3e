"""A handshake's scope, kept small for as long as a connection lives.

Dependencies of handlers find headers, cookies, path and application state in it, but most connections are idle and
most handlers have no dependencies. As ASGI gives it, it is three to five kilobytes: a dictionary, a list of headers,
and what the framework put there for the length of its call. Here it is two tuples, of which one is shared.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

# FastAPI's exit stacks: they belong to the call that accepted the socket, and are over with it.
_TRANSIENT = frozenset({"fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack"})


class Handshake:
    """`scope()` is an equal scope, new each time."""

    __slots__ = ("_headers", "_keys", "_values")

    _shapes: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}

    def __init__(self, scope: Mapping[str, Any]) -> None:
        kept = {key: value for key, value in scope.items() if key not in _TRANSIENT and key != "headers"}
        keys = tuple(kept)
        # A server and an application make scopes of one shape or two, so the names are there once.
        self._keys = self._shapes.setdefault(keys, keys)
        self._values = tuple(kept.values())
        # Neither names nor values can have a line break: RFC 9110 section 5.5.
        self._headers = b"\n".join([part for header in scope.get("headers", ()) for part in header])

    def scope(self) -> dict[str, Any]:
        parts = self._headers.split(b"\n") if self._headers else []
        scope = dict(zip(self._keys, self._values, strict=True))
        scope["headers"] = list(zip(parts[::2], parts[1::2], strict=True))
        return scope
