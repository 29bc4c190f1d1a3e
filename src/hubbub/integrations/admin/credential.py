"""Who is an operator: who shows the key, or has shown it within the last twelve hours by the page's form.

The page is given a cookie that no script can read and no other site can send. It is signed by what the key alone can
make, so every worker knows it and none keeps a list: another key ends all that were given out.
"""

import hmac
import math
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from starlette.requests import HTTPConnection

from hubbub.errors import ConfigurationError
from hubbub.hub.hub import Hub, gate_of
from hubbub.hub.operators import own_origin

COOKIE = "hubbub_admin"
#: Seconds.
LIFE = 12 * 60 * 60
#: Bytes, as for the secret of tokens.
SHORTEST = 32
#: Behind a proxy that puts its own name into Host, every page is one of another site.
ELSEWHERE = "the page that asks is of another site, or a proxy before this does not keep Host"
_VARIABLE = "HUBBUB_ADMIN_KEY"


def chosen_key(key: str | None) -> str | None:
    """What is given, or else in the environment. Raises ConfigurationError for one that can be guessed."""
    name, chosen = ("key", key) if key is not None else (_VARIABLE, os.environ.get(_VARIABLE) or None)
    if chosen is None:
        return None
    if not isinstance(chosen, str):
        raise ConfigurationError(f"admin(key=…) is a string, not {type(chosen).__name__}")
    if len(chosen.encode()) < SHORTEST:
        raise ConfigurationError(
            f"admin: {name} has fewer than {SHORTEST} bytes, and can be guessed: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    return chosen


class Credential:
    """`key` None: the application's own dependencies let operators in, and there is no form."""

    def __init__(self, key: str | None) -> None:
        self.key: str | None = key
        self._signs = (
            b"" if key is None else hmac.digest(key.encode(), b"hubbub: a session of the admin page", "sha256")
        )

    def check(self, connection: HTTPConnection, hub: Hub) -> None:
        """Raises HTTPException 401, 429 after too many wrong keys, and 403 for a page of another site."""
        if self.key is None:
            if not own_origin(connection.scope):
                raise HTTPException(403, ELSEWHERE)
            return
        # First the session: a proxy that lets people in by a password of its own leaves that in the header.
        session = self.has_session(connection)
        if session and own_origin(connection.scope):
            return
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if not self.fits(connection, hub, shown.strip()):
                raise HTTPException(401, "the key is wrong", {"WWW-Authenticate": "Bearer"})
        elif session:
            # A browser adds the cookie by itself, whoever asks it to.
            raise HTTPException(403, ELSEWHERE)
        else:
            raise HTTPException(401, "operators show a key, or log in", {"WWW-Authenticate": "Bearer"})

    def fits(self, connection: HTTPConnection, hub: Hub, shown: str) -> bool:
        """Whether it is the key; a guess is counted to its address. Raises HTTPException 429."""
        if self.key is None:
            return False
        gate_of(hub).check(connection.scope)
        fits = secrets.compare_digest(shown.encode("utf-8", "surrogatepass"), self.key.encode())
        if not fits:
            gate_of(hub).failed(connection.scope)
        return fits

    def session(self, now: float | None = None) -> str:
        """The value of a cookie that is good from now on."""
        until = str(math.floor((time.time() if now is None else now) + LIFE))
        return f"{until}.{self._signature(until)}"

    def has_session(self, connection: HTTPConnection) -> bool:
        return self.key is not None and self.session_ends(connection.cookies) > time.time()

    def session_ends(self, cookies: Mapping[str, str]) -> float:
        """Unix time in seconds; 0 where there is no session."""
        until, _, signature = cookies.get(COOKIE, "").partition(".")
        # What it is signed with is compared first: nothing else that looks like a time is ever read.
        return float(until) if secrets.compare_digest(signature.encode(), self._signature(until).encode()) else 0.0

    def _signature(self, until: str) -> str:
        return hmac.digest(self._signs, until.encode(), "sha256").hex()


def cookie(value: str, connection: HTTPConnection, *, life: int = LIFE) -> dict[str, Any]:
    """As Starlette's `set_cookie` takes it. It has no path: then it is the page's own, as the browser has it.

    Behind a proxy that cuts a prefix off, or in an application that is mounted, only the browser knows that.
    """
    return {
        "key": COOKIE,
        "value": value,
        "max_age": life,
        "path": None,
        "httponly": True,
        "samesite": "strict",
        "secure": connection.url.scheme in ("https", "wss"),
    }
