"""From which address a client comes: that of its socket, or the one that a proxy says, where that proxy was named.

Anybody can send `X-Forwarded-For`. Its last entry was added by the peer of the socket, so it is worth what the peer is:
it is read from the end, as long as whoever added an entry was named, and what stands before that is not looked at. A
peer in a private network that sends such a header is, as it seems, a proxy that nobody named. All clients of a site
may come through it, so it stands for no address; unless it was said which proxies there are.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from hubbub.errors import ConfigurationError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX = "unix"
"""Stands for whoever comes by a unix socket, which has no address."""
NONE = "none"
"""The text that says there is no proxy, where an empty one says nothing."""
_FORWARDED = "forwarded"
_SIGNS = frozenset({b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"})
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)

NOT_NAMED = "a proxy in a private network is not named (Addresses.proxies, HUBBUB_PROXIES)"
BELIEVES_ALL = "the server believes whoever says it speaks for others (FORWARDED_ALLOW_IPS=*)"
SAYS_NOBODY = "a proxy that is named does not say whom it speaks for (Addresses.header)"


@dataclass(frozen=True, slots=True)
class Proxies:
    """Who is believed. `said`: that these are all; otherwise there may be others.

    `believes_all`: what the server says of a client is what the client said. `unix_only`: all come by a unix socket.
    """

    networks: tuple[_Network, ...] = ()
    unix: bool = False
    said: bool = False
    header: str = "x-forwarded-for"
    believes_all: bool = False
    unix_only: bool = False

    def __contains__(self, address: Address) -> bool:
        return _within(address, self.networks)


class Client(NamedTuple):
    """`address` None where there is none, or none is known. `limited`: whether it stands for one client or a few."""

    address: Address | None
    limited: bool
    fault: str | None = None
    """What keeps it from being limited and can be mended: one of the sentences above."""


def parse_proxies(proxies: str | Sequence[str] | None, header: str = "x-forwarded-for") -> Proxies:
    """None: nothing was said. A text is a list with commas. Raises ConfigurationError that names the entry."""
    if proxies is None:
        return Proxies(header=header.lower())
    if isinstance(proxies, str):
        proxies = [] if proxies.strip() == NONE else proxies.split(",")
    entries: Any = proxies
    if isinstance(entries, bytes) or not isinstance(entries, Iterable):
        raise ConfigurationError(f"proxies: a list of addresses and networks, not {type(entries).__name__}")
    networks = []
    unix = False
    for entry in entries:
        if isinstance(entry, str) and entry.strip() == UNIX:
            unix = True
            continue
        try:
            networks.append(ipaddress.ip_network(entry.strip()))
        except (ValueError, AttributeError):
            raise ConfigurationError(
                f"proxies: {entry!r} is neither an address, as 10.0.0.7, nor a network, as 10.0.0.0/8, nor {UNIX!r}"
            ) from None
    return Proxies(tuple(networks), unix, said=True, header=header.lower())


def client_of(scope: Mapping[str, Any], proxies: Proxies) -> Client:
    """Who it is, of an ASGI scope. Where the server itself has put a client there for a proxy, it is that client."""
    peer = scope.get("client")
    if proxies.believes_all:
        if not proxies.unix_only:
            return Client(None, limited=False, fault=BELIEVES_ALL)
        peer = None
    address = None if peer is None else _address(peer[0])
    if proxies.unix if peer is None else address is not None and address in proxies:
        told = _told(scope, proxies)
        return Client(None, limited=False, fault=SAYS_NOBODY) if told is None else Client(told, not told.is_loopback)
    if address is None or address.is_loopback:
        return Client(address, limited=False)
    if not proxies.said and _within(address, _PRIVATE) and _seems_a_proxy(scope, address):
        return Client(address, limited=False, fault=NOT_NAMED)
    return Client(address, limited=True)


def group_of(address: Address) -> bytes:
    """What is limited together: who has one address of IPv6 has all of its /64."""
    return address.packed[:8] if address.version == 6 else address.packed


def shown(address: Address) -> str:
    """What is limited together, for people."""
    return (
        f"{ipaddress.IPv6Address(group_of(address).ljust(16, bytes(1)))}/64" if address.version == 6 else str(address)
    )


def _told(scope: Mapping[str, Any], proxies: Proxies) -> Address | None:
    """The last that was not added for a proxy; of a chain of proxies alone, the first of them."""
    found = None
    for entry in reversed(_entries(scope, proxies.header)):
        address = _address(entry)
        if address is None:
            break
        found = address
        if address not in proxies:
            break
    return found


def _seems_a_proxy(scope: Mapping[str, Any], address: Address) -> bool:
    # Where the server has read the header already, the address that it took stands in there.
    return any(name in _SIGNS for name, _ in scope["headers"]) and address not in map(
        _address, _entries(scope, "x-forwarded-for")
    )


def _entries(scope: Mapping[str, Any], header: str) -> list[str]:
    name = header.encode()
    # Lines of one name are one list, in their order: RFC 9110 section 5.3.
    line = b",".join(value for each, value in scope["headers"] if each == name).decode("latin-1")
    entries = line.split(",") if line else []
    return [_for(entry) for entry in entries] if header == _FORWARDED else entries


def _for(element: str) -> str:
    """RFC 7239 section 4: `for=192.0.2.60;proto=http`, or `For="[2001:db8::1]:4711"`."""
    pairs = (pair.partition("=") for pair in element.split(";"))
    return next((value.strip().strip('"') for name, _, value in pairs if name.strip().lower() == "for"), "")


def _address(text: str) -> Address | None:
    """With a port or without; None for what is no address, as `unknown`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _within(address: Address, networks: Iterable[_Network]) -> bool:
    return any(address in network for network in networks)
