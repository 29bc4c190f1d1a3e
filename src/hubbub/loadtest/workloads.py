"""What is asked of the tool: the workload, and where the server is."""

import math
import re
import ssl
from dataclasses import dataclass
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from hubbub.errors import ConfigurationError, HubbubError
from hubbub.loadtest.tags import TAG_SIZE

Kind = Literal["fanout", "rooms", "request", "idle"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOST_CONNECTIONS = 500_000
MOST_TEXT = 1024 * 1024


class BenchError(HubbubError):
    """The server closed, refused or stalled; the text says which, and of which connection."""


class WrongSetting(ConfigurationError):
    """`setting` is the field of Workload at fault, by which a command line finds its flag."""

    def __init__(self, setting: str, rule: str) -> None:
        super().__init__(f"{setting} {rule}")
        self.setting = setting
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Workload:
    """
    kind: `fanout`: all connections are in one room, and each message goes to all of them. `rooms`: several rooms; every
        member talks, the next time when its own message has come back. `request`: every connection has one request
        open. `idle`: connections that are only held.
    connections: default 1,000 for `fanout` and `rooms`, 100 for `request` and `idle`.
    rooms: connection i is in room i modulo this. Default 1 for `fanout`; one for ten connections for `rooms` and
        `idle`; `request` and `idle` with 0 join none.
    publishers: how many of the room's members talk in turn (`fanout`).
    in_flight: messages that not all members have yet, over all publishers (`fanout`). 1: the publisher waits for all.
    rate: messages a second in all, instead of `in_flight` and of waiting for one's own (`fanout`, `rooms`).
    text: bytes of a message's content.
    duration: seconds in which messages that count are sent; for `idle`, how long the connections are held.
    warm_up: seconds before that, in which messages are sent that do not count.
    messages: at most so many that count, over all publishers; None: as many as there is time for.
    stall: members beyond `connections` that join and then read nothing (`fanout`, `rooms`).
    connecting: handshakes under way at once.
    patience: seconds without progress after which the server counts as stalled.
    seed: of the padding in messages.

    Raises a ConfigurationError that has the field's name as `setting`.
    """

    kind: Kind = "fanout"
    connections: int | None = None
    rooms: int | None = None
    publishers: int = 1
    in_flight: int = 1
    rate: float | None = None
    text: int = 200
    duration: float = 10.0
    warm_up: float = 1.0
    messages: int | None = None
    stall: int = 0
    connecting: int = 64
    patience: float = 10.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WrongSetting("kind", f"is one of {', '.join(KINDS)}, not {self.kind!r}")
        talks = self.kind in {"fanout", "rooms"}
        _whole("connections", self.members, 1, MOST_CONNECTIONS)
        _whole("rooms", self.room_count, 1 if talks else 0, self.members)
        if self.kind == "fanout" and self.room_count != 1:
            raise WrongSetting("rooms", "is for the workloads rooms and idle: a fanout is one room")
        if self.kind == "request" and self.room_count:
            raise WrongSetting("rooms", "is for the workloads rooms and idle: a request joins none")
        _whole("publishers", self.publishers, 1, self.members)
        _whole("in_flight", self.in_flight, 1, 100_000)
        for name in ("publishers", "in_flight"):
            if getattr(self, name) != 1 and self.kind != "fanout":
                raise WrongSetting(name, "is for the workload fanout")
        if self.rate is not None:
            _number("rate", self.rate, 0.001, 10_000_000)
            if not talks:
                raise WrongSetting("rate", "is for the workloads fanout and rooms")
        _whole("text", self.text, TAG_SIZE, MOST_TEXT)
        _number("duration", self.duration, 0.001, 86_400)
        _number("warm_up", self.warm_up, 0, 3_600)
        if self.messages is not None:
            _whole("messages", self.messages, 1, 10**8)
        _whole("stall", self.stall, 0, MOST_CONNECTIONS)
        if self.stall and not talks:
            raise WrongSetting("stall", "is for the workloads fanout and rooms")
        _whole("connecting", self.connecting, 1, 10_000)
        _number("patience", self.patience, 0.01, 3_600)

    @property
    def members(self) -> int:
        """Connections that read."""
        if self.connections is not None:
            return self.connections
        return 1_000 if self.kind in {"fanout", "rooms"} else 100

    @property
    def room_count(self) -> int:
        """0: none is joined."""
        if self.rooms is not None:
            return self.rooms
        match self.kind:
            case "fanout":
                return 1
            case "request":
                return 0
            case "rooms" | "idle":
                return max(1, self.members // 10)


@dataclass(frozen=True, slots=True)
class Target:
    """A server's address. `context` is for TLS; the default one verifies the server."""

    host: str
    port: int
    tls: bool = False
    context: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Of `ws://`, `wss://`, `http://` or `https://`, without a path. Raises ConfigurationError."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        tls = parts.scheme in {"wss", "https"}
        usable = parts.scheme in {"ws", "wss", "http", "https"} and port != 0 and "@" not in parts.netloc
        if not host or not usable or parts.path.strip("/") or parts.query or not _is_host(host):
            # The text itself is not repeated: somebody may have put a credential into it.
            raise ConfigurationError("the server's address is like ws://127.0.0.1:8000, without a path")
        return cls(host, port or (443 if tls else 80), tls)

    @property
    def authority(self) -> str:
        """For the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def _is_host(text: str) -> bool:
    """Whether it can be looked up: a name with an empty label, or too long a one, is a UnicodeError of Python's."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return re.fullmatch(r"[!-~]+", text) is not None


def _whole(setting: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise WrongSetting(setting, f"is a whole number from {least:,} to {most:,}, not {value!r}")


def _number(setting: str, value: float, least: float, most: float) -> None:
    if not math.isfinite(value) or not least <= value <= most:
        raise WrongSetting(setting, f"is a number from {least:g} to {most:,.0f}, not {value!r}")
