"""Where a handshake carries its credential: the subprotocol, then the query, then a cookie.

Guarantees: the first carrier that is present decides alone. Present but empty, there twice, too long or not printable
is `Unusable`, never "look further": falling through would let an old cookie speak for a client that presented
something else, and taking the first of two would let a proxy and this server read different users.

Nothing here verifies anything, logs anything or changes the scope. No reason given contains a part of the credential.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from starlette.requests import cookie_parser

from hubbub.errors import CredentialFault
from hubbub.ports.auth import Carrier, Credential
from hubbub.protocol.messages import SUBPROTOCOL

#: What stands before the token in `Sec-WebSocket-Protocol`.
BEARER = "hubbub.bearer."
#: The query parameter.
PARAMETER = "token"


@dataclass(frozen=True, slots=True)
class Absent:
    """No carrier is present: the first message decides."""


@dataclass(frozen=True, slots=True)
class Found:
    """One credential, well formed. `cookie` is the name of the cookie it came in, None for the other carriers."""

    credential: Credential
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """Present, and certainly nobody's: to be answered like a credential that was refused. `carrier` says where."""

    carrier: Carrier
    reason: str
    fault: CredentialFault = CredentialFault.MALFORMED


@dataclass(frozen=True, slots=True)
class Malformed:
    """The handshake itself is wrong: HTTP 400."""

    reason: str


Presented: TypeAlias = Absent | Found | Unusable | Malformed


def select_subprotocol(scope: Mapping[str, Any]) -> str | None:
    """`hubbub.v1` where the client offers it, otherwise None. Never what carries a token."""
    return SUBPROTOCOL if SUBPROTOCOL in _offered(scope) else None


def find_credential(scope: Mapping[str, Any], *, cookies: Sequence[str], limit: int) -> Presented:
    """What the ASGI scope of a handshake presents.

    `cookies` are the names that count, the first one present wins; `limit` is the most bytes of UTF-8 a credential
    may have after decoding. An HTTP scope is read the same way, it only has no subprotocols.
    """
    offered = _offered(scope)
    bearers = [entry.removeprefix(BEARER) for entry in offered if entry.startswith(BEARER)]
    if bearers:
        # A browser fails the socket when none of the subprotocols it offered is selected, and the bearer never is.
        if SUBPROTOCOL not in offered:
            return Malformed(f"a bearer subprotocol stands beside {SUBPROTOCOL}, which was not offered")
        return _one(bearers, Carrier.SUBPROTOCOL, limit=limit)
    tokens = list(_query_tokens(scope))
    if tokens:
        return _one(tokens, Carrier.QUERY, limit=limit)
    pairs = list(_cookie_pairs(scope)) if cookies else []
    for wanted in cookies:
        values = [value for name, value in pairs if name == wanted]
        if values:
            return _one(values, Carrier.COOKIE, limit=limit, cookie=wanted)
    return Absent()


def read_message(token: object, *, limit: int) -> Found | Unusable:
    """What the `token` of a first message, or of a later `auth`, presents: the same rules as for a handshake."""
    if not isinstance(token, str):
        return Unusable(Carrier.MESSAGE, "token is a string")
    return _one([token], Carrier.MESSAGE, limit=limit)


def _one(values: Sequence[str], carrier: Carrier, *, limit: int, cookie: str | None = None) -> Found | Unusable:
    if len(values) > 1:
        return Unusable(carrier, "presented more than once")
    [value] = values
    if not value:
        return Unusable(carrier, "empty")
    if len(value.encode(errors="surrogatepass")) > limit:
        return Unusable(carrier, f"longer than {limit} bytes")
    # NUL, line breaks and lone surrogates are in no credential, and make databases raise instead of answering "no".
    if not value.isprintable():
        return Unusable(carrier, "has characters that are not printable")
    return Found(Credential(carrier, value), cookie)


def _offered(scope: Mapping[str, Any]) -> Sequence[str]:
    return scope.get("subprotocols") or ()


def _query_tokens(scope: Mapping[str, Any]) -> Iterator[str]:
    """Every `token` parameter, decoded as the URL Standard's form parser does: `+` is a space, bad UTF-8 U+FFFD."""
    query: bytes = scope.get("query_string") or b""
    for field in query.decode("latin-1").split("&"):
        name, _, value = field.partition("=")
        if name == PARAMETER or ("%" in name and unquote_plus(name) == PARAMETER):
            yield unquote_plus(value)


def _cookie_pairs(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in scope.get("headers") or ():
        # HTTP/2 may split one Cookie header into several (RFC 9113 section 8.2.3), so several are one list.
        if name.lower() == b"cookie":
            # One at a time, because the parser's dict would hide that a name is there twice.
            for crumb in value.decode("latin-1").split(";"):
                yield from cookie_parser(crumb).items()
