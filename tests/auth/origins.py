"""Handshakes with an Origin, and a list of some."""

from typing import Any

from hubbub.auth.origin import Host, Origin, OriginRules, parse_origins


def scope(*origins: str | bytes, host: str | None = "app.example", scheme: str = "ws") -> dict[str, Any]:
    headers = [(b"origin", origin if isinstance(origin, bytes) else origin.encode("latin-1")) for origin in origins]
    if host is not None:
        headers.append((b"host", host.encode("latin-1")))
    return {"type": "websocket", "scheme": scheme, "headers": headers}


def origin_allowed(
    handshake: dict[str, Any],
    *,
    required: bool,
    allowed: frozenset[Origin] | None,
    hosts: frozenset[Host] | None = None,
    cookie: bool = False,
) -> bool:
    return OriginRules(allowed, hosts).refusal(handshake, required=required, cookie=cookie) is None


LIST = parse_origins(
    [
        "https://app.example",
        "http://localhost:5173",
        "https://Shop.Example:8443",
        "https://münchen.example",
        "http://[::1]:3000",
        "capacitor://localhost",
        "http://127.0.0.1",
    ]
)
