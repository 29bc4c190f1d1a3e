"""Sessions of the application's own: a cookie holds an id, the application's store knows whose it is.

Only the cookie is read. A session id is as good as a password, and a query or a first message would take it out of
the HttpOnly cookie that keeps scripts away from it.
"""

import time
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Protocol

from hubbub.errors import ConfigurationError, CredentialFault, ExpiredCredential, InvalidCredential
from hubbub.options import Limits
from hubbub.ports.auth import Credential
from hubbub.protocol.messages import check_user
from hubbub.scheduling.calls import awaiting
from hubbub.types import User


class SessionStore(Protocol):
    """What an application implements."""

    async def user_of(self, session_id: str) -> User | None:
        """Whose session this is, None where there is none. `session_id` is what a stranger sent: look it up, no more.

        `User.expires` closes the connection when the session ends; it is asked once, at the handshake, so a log-out is
        followed by `hub.revoke(session=…)`. That goes by `User.session`, which is `session_id` where this leaves it
        None.
        """


class SessionAuth:
    """Authenticates by a session cookie.

    `load` is a SessionStore, or its one method as a function; a plain `def` runs in a thread. `cookie` is the cookie's
    name, default `session`; its value reaches `load` as the browser sent it, so a signed value is checked there.

    Raises ConfigurationError for a `load` that finds nobody.
    """

    bearer = False

    def __init__(
        self,
        load: SessionStore | Callable[[str], Awaitable[User | None] | User | None],
        *,
        cookie: str = "session",
    ) -> None:
        self.cookie: str | None = cookie
        if not callable(getattr(load, "user_of", load)):
            raise ConfigurationError(
                "SessionAuth takes a function, or a store with `user_of`, that finds the user of a session"
            )
        self._load = awaiting(load.user_of if hasattr(load, "user_of") else load)

    def __repr__(self) -> str:
        return f"SessionAuth(cookie={self.cookie!r})"

    async def authenticate(self, credential: Credential) -> User:
        """The session's user.

        Raises InvalidCredential where there is no such session, ExpiredCredential where it is over, WrongAnswer
        where the store gave no proper user. What the store raises goes through: a database that is down must not look
        like a forged cookie, which would log everybody out.
        """
        found = await self._load(credential.value)
        if found is None:
            raise InvalidCredential("no such session", fault=CredentialFault.UNKNOWN)
        user = check_user(found, limit=Limits().name)
        if user.expires is not None and user.expires <= time.time():
            raise ExpiredCredential("the session is over")
        if user.session is None:
            # A copy, as it may be the store's own; of a class that may inherit from User.
            user = copy(user)
            object.__setattr__(user, "session", credential.value)
        return user
