"""Which web pages may open a socket with their user's cookies: RFC 6455 section 10.2.

A browser sends cookies to whoever is asked for, whichever page asks; only `Origin` tells the pages apart, and a page
cannot forge it. Origins are compared whole, as scheme, host and port. Suffixes, patterns and wildcards lost: each of
them has let `https://app.example.evil.com` in somewhere. A client that is no browser can send any Origin or none, so
this protects users, and never replaces a credential.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from hubbub.errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_PORT = r"[1-9][0-9]{0,4}"
_HOST = rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>{_PORT}))?"
_AUTHORITY = re.compile(_HOST)
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_HOST}")


class Origin(NamedTuple):
    """`host` is lower-case ASCII; `port` None only where the scheme has no default and none was given."""

    scheme: str
    host: str
    port: int | None


def parse_origins(origins: str | Sequence[str]) -> frozenset[Origin]:
    """The application's list, for `origin_allowed`. An empty one lets no browser in.

    Names outside ASCII may be written as people read them. Raises ConfigurationError that names the entry.
    """
    return frozenset(_configured(entry) for entry in ([origins] if isinstance(origins, str) else origins))


def origin_allowed(scope: Mapping[str, Any], *, required: bool, allowed: Collection[Origin] | None) -> bool:
    """Whether the handshake may go on, as far as its Origin is concerned.

    `required`: the connection is let in by what a browser adds by itself: a cookie, or nothing at all (a guest).
    With a list every Origin must be in it, whatever `required` says. Without one, host and port must equal `Host`.
    No Origin at all passes: that is no browser.
    """
    if not required and allowed is None:
        return True
    origins = _header(scope, b"origin")
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = _parse(origins[0])
    if origin is None:
        return False
    return origin in allowed if allowed is not None else _same_site(origin, scope)


def _same_site(origin: Origin, scope: Mapping[str, Any]) -> bool:
    hosts = _header(scope, b"host")
    match = _AUTHORITY.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    if match is None or origin.scheme not in _DEFAULT_PORTS:
        return False
    host = _host(match["host"])
    if match["port"] is not None:
        return (origin.host, origin.port) == (host, int(match["port"]))
    # A `ws` here may be `wss` at a proxy that does not say so, and then the page is https: both defaults are right.
    # A `wss` is certain, and a page loaded without TLS may be anybody's on its way.
    scheme = "wss" if scope.get("scheme") in {"wss", "https"} else origin.scheme
    return (origin.host, origin.port) == (host, _DEFAULT_PORTS[scheme])


def _header(scope: Mapping[str, Any], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope.get("headers") or () if name.lower() == wanted]


def _parse(text: str) -> Origin | None:
    """None for `null`, and for all that no browser sends: user, path, trailing dot, several in one, not ASCII."""
    # Before lowering, which makes an ASCII k of the Kelvin sign.
    if not text.isascii():
        return None
    match = _ORIGIN.fullmatch(text.lower())
    host = _host(match["host"]) if match else None
    if match is None or host is None:
        return None
    port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(match["scheme"])
    return Origin(match["scheme"], host, port) if port is None or port <= 0xFFFF else None


def _host(text: str) -> str | None:
    if not text.startswith("["):
        return text
    try:
        return f"[{ipaddress.IPv6Address(text[1:-1])}]"
    except ValueError:
        return None


def _configured(entry: str) -> Origin:
    origin = _parse(_in_punycode(entry)) if isinstance(entry, str) else None
    if origin is None:
        raise ConfigurationError(
            f"origins: {entry!r} is not an origin; write scheme, host and, where it is not the default, the port, "
            "as in 'https://app.example' or 'http://localhost:5173' (no path, no wildcard)"
        )
    return origin


def _in_punycode(entry: str) -> str:
    if entry.isascii():
        return entry
    import idna  # anyio's dependency; not needed to run, only for such an entry

    scheme, separator, rest = entry.partition("://")
    name, colon, port = rest.partition(":")
    try:
        # The mapping of UTS 46 that browsers apply; Python's own codec still turns ß into ss.
        encoded = idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return entry
    return f"{scheme}{separator}{encoded}{colon}{port}"
