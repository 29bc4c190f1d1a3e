"""How every command asks a server over HTTP: whose certificates it trusts, and when a proxy is between."""

import ssl
from typing import TypedDict

from hubbub.auth.origin import is_loopback


class Ways(TypedDict):
    """What `httpx.Client` and `httpx.AsyncClient` take."""

    verify: ssl.SSLContext
    trust_env: bool


def ways_to(host: str | None) -> Ways:
    """To a server on this host."""
    return {
        # The authorities of this machine, or those of SSL_CERT_FILE, and not those of a package.
        "verify": ssl.create_default_context(),
        # A proxy from the environment would be asked for its own loopback.
        "trust_env": not is_loopback(host),
    }
