"""Which web pages may open a socket with their user's cookies: RFC 6455 section 10.2.

A browser sends cookies to whoever is asked for, whichever page asks; only `Origin` tells the pages apart, and a page
cannot forge it. Origins are compared whole, as scheme, host and port. Suffixes, patterns and wildcards lost: each of
them has let `https://app.example.evil.com` in somewhere. A client that is no browser can send any Origin or none, so
this protects users, and never replaces a credential.

Packaged applications have origins of schemes of their own (`app://-`, `capacitor://localhost`), which are listed like
others. `null` and `file://` are nobody's in particular, so they pass only where they are listed; and `null` never with
a cookie, because any page can send it, from a sandboxed frame. Clients that are no browser like to send the server's
own address; beside a list that passes only for hosts that are named, because whoever owns a name can let it point to
this server (DNS rebinding), and then Origin and Host agree.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hubbub.auth.redaction import harmless
from hubbub.errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_OTHER = {"http": "https", "https": "http"}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_PORT = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
_HOST = rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]){_PORT}"
_AUTHORITY = re.compile(_HOST)
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_HOST}")
# What is no web address names a package, as its tool likes: Electron's `app://-` and `app://.`, an extension's id.
_PACKAGED = re.compile(rf"(?P<scheme>(?!(?:https?|wss?|file):)[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9._~-]+){_PORT}")
_SHOWN = 120


class Origin(NamedTuple):
    """`host` is lower-case ASCII; `port` None only where the scheme has no default and none was given."""

    scheme: str
    host: str
    port: int | None


#: What has no address: pages without an origin of their own, and those that some web views load from files.
NULL, FILE = Origin("", "null", None), Origin("file", "", None)
_OPAQUE = {"null": NULL, "file://": FILE}


class Host(NamedTuple):
    """As `Origin` has them; `port` None stands for any."""

    host: str
    port: int | None


@dataclass(frozen=True, slots=True)
class OriginRules:
    """What the application has configured. `origins` None: the own origin alone. `hosts` None: none was named."""

    origins: frozenset[Origin] | None = None
    hosts: frozenset[Host] | None = None

    def refusal(self, scope: Mapping[str, Any], *, required: bool, cookie: bool = False) -> str | None:
        """The rule by which the handshake may not go on as far as its Origin is concerned, None where it may.

        `required`: the connection is let in by what a browser adds by itself: a cookie (`cookie`), or nothing at all (a
        guest). With a list every Origin must be in it, whatever `required` says, or be the own origin of one of
        `hosts`. Without one, host and port must equal `Host`. No Origin at all passes: that is no browser.
        """
        if not required and self.origins is None:
            return None
        origins = _header(scope, b"origin")
        if not origins:
            return None
        origin = _parse(origins[0]) if len(origins) == 1 else None
        if origin is None:
            return "it is no origin" if len(origins) == 1 else "it is there more than once"
        if self.origins is not None and origin in self.origins:
            return "null is let in by no cookie" if origin is NULL and cookie else None
        if self.origins is not None and self.hosts is None:
            return "it is not in origins="
        host = _own_host(scope)
        if host is None or not _same_site(origin, host, scope):
            return "it is not the Host's" if self.origins is None else "it is neither in origins= nor the Host's"
        # A Host leaves the default port out, which the own origin has.
        if self.hosts is not None and not self.hosts & {Host(host.host, origin.port), Host(host.host, None)}:
            return "it is the Host's, which is not in allowed_hosts="
        return None


def parse_origins(origins: str | Sequence[str]) -> frozenset[Origin]:
    """The application's list. An empty one lets no browser in.

    Names outside ASCII may be written as people read them. Raises ConfigurationError that names the entry.
    """
    return frozenset(map(_configured, _entries(origins, "origins")))


def parse_hosts(hosts: str | Sequence[str]) -> frozenset[Host]:
    """Names or addresses, with a port or for any. Raises ConfigurationError that names the entry."""
    return frozenset(map(_configured_host, _entries(hosts, "allowed_hosts")))


def _entries(given: Any, name: str) -> Iterable[Any]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, bytes | bytearray) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{name}: a list of texts, not {type(given).__name__}")
    return given


def shown(scope: Mapping[str, Any]) -> str:
    """Origin and Host as a log may have them: an Origin can hold anything, so only what names a site is left of it."""
    origin, host = (", ".join(map(_site, _header(scope, name))) for name in (b"origin", b"host"))
    return f"Origin {harmless(origin, limit=_SHOWN)}, Host {harmless(host, limit=_SHOWN) or 'none'}"


def site_of(scope: Mapping[str, Any]) -> str | None:
    """What of the Origin names a site, None where there is none."""
    origins = _header(scope, b"origin")
    return harmless(", ".join(map(_site, origins)), limit=_SHOWN) if origins else None


def _site(text: str) -> str:
    scheme, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    return f"{scheme}{separator}{authority.rpartition('@')[2]}"


def _own_host(scope: Mapping[str, Any]) -> Host | None:
    hosts = _header(scope, b"host")
    return _host_and_port(hosts[0]) if len(hosts) == 1 else None


def _host_and_port(text: str) -> Host | None:
    match = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    host = _host(match["host"]) if match else None
    if match is None or host is None:
        return None
    return Host(host, int(match["port"]) if match["port"] else None)


def _same_site(origin: Origin, host: Host, scope: Mapping[str, Any]) -> bool:
    if origin.scheme not in _DEFAULT_PORTS:
        return False
    if host.port is not None:
        return (origin.host, origin.port) == host
    # A `ws` here may be `wss` at a proxy that does not say so, and then the page is https: both defaults are right.
    # A `wss` is certain, and a page loaded without TLS may be anybody's on its way.
    scheme = "wss" if scope.get("scheme") in {"wss", "https"} else origin.scheme
    return (origin.host, origin.port) == (host.host, _DEFAULT_PORTS[scheme])


def _header(scope: Mapping[str, Any], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope.get("headers") or () if name.lower() == wanted]


def _parse(text: str) -> Origin | None:
    """None for all that no browser sends: user, path, trailing dot, several in one, not ASCII."""
    # Before lowering, which makes an ASCII k of the Kelvin sign.
    if not text.isascii():
        return None
    text = text.lower()
    if text in _OPAQUE:
        return _OPAQUE[text]
    match = _ORIGIN.fullmatch(text) or _PACKAGED.fullmatch(text)
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
            f"origins: {entry!r} is not an origin{_mistake(entry)}; write scheme, host and, where it is not the "
            "default, the port, as in 'https://app.example', 'http://localhost:5173' or 'capacitor://localhost' (no "
            "path, no wildcard); 'null' and 'file://' stand for pages that have none"
        )
    return origin


def _mistake(entry: object) -> str:
    """Which of the usual ones it is, as far as that can be told."""
    if not isinstance(entry, str):
        return f": it is of {type(entry)}"
    if "*" in entry:
        return ": there are no wildcards, each origin is listed"
    scheme, separator, rest = entry.partition("://")
    if not separator:
        return f": its scheme is missing, as in 'https://{entry}'" if _host_and_port(entry) is not None else ""
    if _parse(_in_punycode(entry.rstrip("/"))) is not None:
        return f": without the slash at its end, {entry.rstrip('/')!r}"
    if "/" in rest:
        return f": an origin has no path, {scheme + separator + rest.partition('/')[0]!r}"
    return ""


def doubts(origins: Iterable[Origin]) -> list[tuple[str, str]]:
    """What can be meant and seldom is, in a list for production: what, and what to write instead."""
    listed = set(origins)
    found = (
        [] if listed else [("it is empty, so no browser gets in", "list the pages that connect, or leave origins= out")]
    )
    packaged = any(origin.scheme not in _DEFAULT_PORTS for origin in listed)
    for origin in sorted(listed, key=str):
        text = origin_text(origin)
        if origin.scheme in ("ws", "wss"):
            page = origin_text(Origin({"ws": "http", "wss": "https"}[origin.scheme], origin.host, origin.port))
            found.append((f"{text}: no browser sends ws or wss as an Origin", f"{page}, the page's"))
        elif origin.port is not None and origin.port == _DEFAULT_PORTS.get(_OTHER.get(origin.scheme, "")):
            other = origin_text(Origin(_OTHER[origin.scheme], origin.host, origin.port))
            found.append((f"{text}: this is the other scheme's port", f"{other}, or its own port"))
        elif is_loopback(origin.host.strip("[]")) and origin.scheme == "http" and not packaged:
            found.append((f"{text}: whatever runs on a user's own machine", "leave it to the list for development"))
        elif (
            origin.scheme == "http"
            and not is_loopback(origin.host.strip("[]"))
            and not origin.host.endswith(".localhost")
        ):
            found.append((f"{text}: a page without TLS may be anybody's on its way", f"https://{origin.host}"))
    return found


def origin_text(origin: Origin) -> str:
    """As a browser writes it."""
    if origin in (NULL, FILE):
        return next(text for text, opaque in _OPAQUE.items() if opaque == origin)
    default = origin.port is None or origin.port == _DEFAULT_PORTS.get(origin.scheme)
    return f"{origin.scheme}://{origin.host}{'' if default else f':{origin.port}'}"


def _configured_host(entry: str) -> Host:
    host = _host_and_port(_in_punycode(entry)) if isinstance(entry, str) else None
    if host is None:
        raise ConfigurationError(
            f"allowed_hosts: {entry!r} is not a host; write its name or address and, where only one will do, the port, "
            "as in 'app.example', 'localhost:8000' or '[::1]' (no scheme, no path, no wildcard)"
        )
    return host


def _in_punycode(entry: str) -> str:
    if entry.isascii():
        return entry
    import idna  # anyio's dependency; not needed to run, only for such an entry

    scheme, separator, rest = entry.partition("://") if "://" in entry else ("", "", entry)
    name, colon, port = rest.partition(":")
    try:
        # The mapping of UTS 46 that browsers apply; Python's own codec still turns ß into ss.
        encoded = idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return entry
    return f"{scheme}{separator}{encoded}{colon}{port}"


def is_loopback(host: str | None) -> bool:
    """Whether a name or an address, without brackets, is this machine's own; None is nobody's."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
