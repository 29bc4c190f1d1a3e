"""The URL of a broker: read strictly and before anything is connected, so that what is wrong is told in one line.

redis-py passes over much of what it cannot read: a database that is no number, a port 0, the host of a `unix://`. Then
a hub talks to another server or database than its owner believes. What is said here never repeats the URL, nor any
value in it but a file's name: a password with a character that should have been encoded may be anywhere.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from hubbub.errors import ConfigurationError

MEMORY = "memory"
_KINDS: Mapping[str, Literal["tcp", "tls", "unix"]] = {
    "redis": "tcp",
    "valkey": "tcp",
    "rediss": "tls",
    "valkeys": "tls",
    "unix": "unix",
}
_SCHEMES = "a broker is memory, redis://, rediss://, valkey://, valkeys:// or unix://"
_ENCODED = "a password that has @ : / ? # or % in it is percent-encoded, as %40 for @"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """What a `redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://` says. `options`: redis-py's, checked."""

    kind: Literal["tcp", "tls", "unix"]
    host: str = "localhost"
    port: int = 6379
    path: str = ""
    db: int = 0
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def is_memory(url: str) -> bool:
    """Whether it is `memory`, or `memory://` with nothing behind it."""
    return url in (MEMORY, f"{MEMORY}://")


def read_url(url: str) -> ServerUrl:
    """Raises ConfigurationError, with what is wrong and without the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad(f"its host or port cannot be read: a port is 1 to 65535, and {_ENCODED}") from None
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise ConfigurationError(_SCHEMES)
    if any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in url):
        raise _bad("there is white space or a control character in it")
    if parts.fragment or "@" in parts.path + parts.query:
        raise _bad(f"there is a # in it, or an @ behind the host: {_ENCODED}")
    options = _options(parts.query, tls=kind == "tls")
    for name, value in (("username", parts.username), ("password", parts.password)):
        if value:
            options[name] = unquote(value)
    if kind == "unix":
        if parts.hostname or port is not None:
            raise _bad("unix:// has a path and no host, as unix:///run/valkey.sock")
        if not parts.path.strip("/"):
            raise _bad("the path of the socket is missing, as in unix:///run/valkey.sock")
        return ServerUrl(kind=kind, path=unquote(parts.path), db=options.pop("db", 0), options=options)
    if port == 0:
        raise _bad("a port is 1 to 65535")
    return ServerUrl(
        kind=kind,
        host=_host(parts),
        port=port or 6379,
        db=_database(parts.path, options.pop("db", None)),
        options=options,
    )


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "localhost")
    if "," in host:
        raise _bad("it names several servers, and a broker is one (no cluster, no Sentinel)")
    return host


def _database(path: str, asked: int | None) -> int:
    said = path.strip("/")
    if said and not (said.isascii() and said.isdecimal()):
        raise _bad("behind the host comes the number of a database, as in redis://host:6379/0")
    if said and asked is not None and asked != int(said):
        raise _bad("it names two databases, by its path and by db=")
    return int(said or asked or 0)


def _options(query: str, *, tls: bool) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _bad("what stands behind the ? is no name=value&name=value") from None
    options: dict[str, Any] = {}
    for name, value in pairs:
        if name in IGNORED:
            continue
        read = OPTIONS.get(name)
        if read is None:
            hint = ": TLS is rediss:// or valkeys://" if name in ("ssl", "tls") else ""
            raise _bad(f"it has an option that is not known, {name[:40]!r}{hint}")
        if name in options:
            raise _bad(f"it has {name} twice")
        if name.startswith("ssl_") and not tls:
            raise _bad(f"{name} is for TLS, which is rediss:// or valkeys://")
        try:
            options[name] = read(value)
        except OSError as error:
            raise _bad(f"{name}: {value}: {error.strerror or 'cannot be read'}") from None
        except (ValueError, KeyError):
            raise _bad(f"its {name} has a value that cannot be used") from None
    if tls:
        _try_certificates(options)
    return options


def _try_certificates(options: Mapping[str, Any]) -> None:
    """As redis-py will put them together when it connects, where nobody could be told but by the log."""
    authorities = {"cafile": "ssl_ca_certs", "capath": "ssl_ca_path", "cadata": "ssl_ca_data"}
    given = {name: options[option] for name, option in authorities.items() if option in options}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    names = [option for option in authorities.values() if option in options]
    try:
        if given:
            context.load_verify_locations(**given)
        names = ["ssl_certfile", "ssl_keyfile"]
        if "ssl_certfile" in options:
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password", "")
            )
        elif "ssl_keyfile" in options:
            raise _bad("ssl_keyfile needs ssl_certfile")
        names = ["ssl_ciphers"]
        if "ssl_ciphers" in options:
            context.set_ciphers(options["ssl_ciphers"])
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "cannot be used"
        raise _bad(f"{' and '.join(names)}: {str(reason).replace('_', ' ').lower()}") from None


def _bad(what: str) -> ConfigurationError:
    return ConfigurationError(f"the broker's URL cannot be used: {what}")


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError
    return int(value)


def _file(value: str) -> str:
    with Path(value).open("rb"):
        return value


def _folder(value: str) -> str:
    next(Path(value).iterdir(), None)
    return value


def _yes_or_no(value: str) -> bool:
    if value.lower() not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError
    return value.lower() in ("true", "yes", "1")


def _version(value: str) -> ssl.TLSVersion:
    """TLSv1_2, or its number in `ssl.TLSVersion`, as redis-py has it."""
    return ssl.TLSVersion(int(value)) if value.isdecimal() else ssl.TLSVersion[value]


def _one_of(*values: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in values:
            raise ValueError
        return value

    return read


def _text(value: str) -> str:
    if not value:
        raise ValueError
    return value


OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "db": _whole,
    "username": _text,
    "password": _text,
    "client_name": _text,
    "ssl_ca_certs": _file,
    "ssl_ca_data": _text,
    "ssl_ca_path": _folder,
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_certfile": _file,
    "ssl_check_hostname": _yes_or_no,
    "ssl_ciphers": _text,
    "ssl_keyfile": _file,
    "ssl_min_version": _version,
    "ssl_password": _text,
}

#: What redis-py knows too, and a URL may have because others read it: here it is the broker's own to decide.
IGNORED = frozenset(
    {
        "decode_responses",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "legacy_responses",
        "max_connections",
        "protocol",
        "retry_on_error",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_read_size",
        "socket_timeout",
        "timeout",
    }
)
