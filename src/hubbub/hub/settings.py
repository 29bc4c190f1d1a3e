"""What an application gave its hub, with everything that was left out filled in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal

from hubbub.auth.origin import OriginRules
from hubbub.brokers.choose import MEMORY, check_broker_url
from hubbub.errors import ConfigurationError
from hubbub.hub.client_address import Proxies, parse_proxies
from hubbub.options import (
    Addresses,
    Heartbeat,
    Keep,
    Leaving,
    Limits,
    Rate,
    RoomOptions,
    RoomRate,
    check_fits,
    check_keep,
    check_rate_fits,
)
from hubbub.ports.auth import Authenticator
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics, Tally
from hubbub.tracing.provider import Setting
from hubbub.tracing.provider import check as check_tracing

_KINDS: dict[str, tuple[type, ...]] = {
    "limits": (Limits,),
    "heartbeat": (Heartbeat,),
    "rate": (Rate, NoneType),
    "room_rate": (RoomRate, NoneType),
    "addresses": (Addresses, NoneType),
    "announce_users": (bool,),
    "audit": (bool,),
    "leaving": (Leaving,),
    "hold_call": (bool, NoneType),
}
# Ports are known by what they do.
_DO = {"metrics": ("count",), "clock": ("now", "wall"), "broker": ("start", "publish")}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """As `hubbub.Hub` says of its parameters."""

    authenticators: tuple[Authenticator, ...] = ()
    origins: OriginRules = field(default_factory=OriginRules)
    limits: Limits = field(default_factory=Limits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    rate: Rate | None = None
    room_rate: RoomRate | None = None
    """None: `usual_room_rate`."""
    addresses: Addresses | None = None
    proxies: Proxies = field(default_factory=Proxies)
    announce_users: bool = False
    audit: bool = False
    inbox: Keep = None
    leaving: Leaving = field(default_factory=Leaving)
    refuse: Literal["close", "http"] = "close"
    metrics: Metrics = field(default_factory=Tally)
    hold_call: bool | None = None
    tracing: Setting = None
    clock: Clock | None = None
    """None: the system's, which is bound to where the hub starts."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError, which names the parameter, for what is of another kind."""
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds):
                wanted = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
                raise ConfigurationError(f"Hub({name}=…) is {wanted}, not {type(value).__name__}")
        if self.refuse not in ("close", "http"):
            raise ConfigurationError(f"Hub(refuse=…) is 'close' or 'http', not {self.refuse!r}")
        try:
            check_keep(self.inbox, "inbox")
            check_fits(self.inbox, self.limits)
            check_rate_fits(self.room_rate, self.limits)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        check_port("metrics", self.metrics)
        check_tracing(self.tracing, "Hub")
        if self.clock is not None:
            check_port("clock", self.clock)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a hub was made with and what has been declared on it, for tools that look at it: `hubbub doctor` does.

    `broker`: a URL, which may hold a password, or the object that was given. `rooms`: each pattern's options.
    """

    name: str
    broker: str | Broker = field(repr=False)
    settings: HubSettings
    rooms: Mapping[str, RoomOptions]

    @property
    def keeps(self) -> bool:
        """Whether a room, or a user's inbox, keeps history."""
        return bool(self.settings.inbox) or any(options.history for options in self.rooms.values())


def usual_rate() -> Rate | None:
    """What a client may send where the application says nothing of it."""
    return None if os.environ.get("HUBBUB_DEV") == "1" else Rate()


def usual_room_rate(limits: Limits, rate: Rate | None) -> RoomRate | None:
    """What clients may publish into one room where the application says nothing of it.

    An application that lets them send faster than usual means to have that published.
    """
    if os.environ.get("HUBBUB_DEV") == "1":
        return None
    usual, room = Rate(), RoomRate()
    faster = max(1.0, (rate or usual).messages / usual.messages)
    # A reader as fast as that has no more than half an outbox unsent.
    return RoomRate(
        messages=room.messages * faster,
        bytes=limits.outbox / 4 * faster,
        burst=max(room.burst, 10 * (rate or usual).burst),
        burst_bytes=max(1, limits.outbox // 2),
    )


def usual_addresses() -> Addresses | None:
    """What one address may have where the application says nothing of it."""
    return None if os.environ.get("HUBBUB_DEV") == "1" else Addresses()


def asked_to_audit() -> bool:
    """Whether the environment says so, where the application says nothing of it."""
    return os.environ.get("HUBBUB_AUDIT") == "1"


def named_proxies(addresses: Any) -> Proxies:
    """Those the application names, else those of HUBBUB_PROXIES. Raises ConfigurationError."""
    given = addresses if isinstance(addresses, Addresses) else Addresses()
    proxies = given.proxies
    return parse_proxies((os.environ.get("HUBBUB_PROXIES") or None) if proxies is None else proxies, given.header)


def chosen_broker(given: str | Broker | None) -> str | Broker:
    """A broker, or a URL that can be one's. Raises ConfigurationError."""
    chosen = given if given is not None else os.environ.get("HUBBUB_BROKER") or MEMORY
    if isinstance(chosen, str):
        return check_broker_url(chosen)
    check_port("broker", chosen)
    return chosen


def check_port(name: str, given: Any) -> None:
    """Raises ConfigurationError for what cannot do what a broker, metrics or a clock does."""
    if isinstance(given, type) or not all(callable(getattr(given, method, None)) for method in _DO[name]):
        said = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise ConfigurationError(f"Hub({name}=…) has methods like {' and '.join(_DO[name])}, which {said} has not")


def check_texts(name: Any, path: Any) -> None:
    """Raises ConfigurationError for a hub's name, or a path, that is none."""
    if not isinstance(name, str | None):
        raise ConfigurationError(f"Hub(name=…) is a str or None, not {type(name).__name__}")
    if not isinstance(path, str) or not (path.startswith("/") or not path):
        raise ConfigurationError(f"Hub(path=…) is like {'/ws'!r}, not {path!r}")
