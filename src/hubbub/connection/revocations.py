"""What is revoked, as a worker knows it: in memory, because each credential is held against it.

By the worker's own clock, which never jumps: an hour too early would let in again who was logged out.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hubbub import closes
from hubbub.closes import Close
from hubbub.errors import CredentialFault, InvalidCredential
from hubbub.protocol.revocation import Revocation, Revoked, known_as
from hubbub.types import User

_CLOSES = {
    Revoked.TOKEN: closes.CREDENTIAL_INVALID.because("the token was revoked"),
    Revoked.SESSION: closes.CREDENTIAL_INVALID.because("the session was revoked"),
    Revoked.USER: closes.DISCONNECTED.because("what the user came with was revoked"),
}


class _Known(NamedTuple):
    said: Revocation
    ends: float
    """By the worker's clock."""


class Revocations:
    def __init__(self) -> None:
        self._known: dict[tuple[Revoked, str], _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Revocation]:
        return (known.said for known in self._known.values())

    def learn(self, said: Revocation, now: float, wall: float) -> bool:
        """Whether it says more than was known. `now` and `wall`: the clock's."""
        before = self._known.get((said.of, said.name))
        fresh = before is None or said.before > before.said.before
        if before is not None:
            said = said._replace(before=max(said.before, before.said.before), until=max(said.until, before.said.until))
        self._known[said.of, said.name] = _Known(said, now + said.until - wall)
        return fresh

    def forget(self, now: float) -> None:
        """What has run out."""
        for key in [key for key, known in self._known.items() if known.ends <= now]:
            del self._known[key]

    def of(self, user: User) -> Revoked | None:
        """What of the credential that this user came with is revoked."""
        known = self._known
        if not known:
            return None
        for of, name in ((Revoked.TOKEN, user.token_id), (Revoked.SESSION, user.session)):
            if name and (of, known_as(of, name)) in known:
                return of
        of_user = known.get((Revoked.USER, user.id))
        if of_user is not None and user.issued is not None and user.issued < of_user.said.before:
            return Revoked.USER
        return None

    def check(self, user: User) -> None:
        """Raises InvalidCredential."""
        of = self.of(user)
        if of is not None:
            whose = "user's tokens of then were" if of is Revoked.USER else f"{of} was"
            raise InvalidCredential(f"the {whose} revoked", fault=CredentialFault.REVOKED)

    def close(self, user: User) -> Close | None:
        """How a connection ends whose credential was revoked since it was presented."""
        of = self.of(user)
        return None if of is None else _CLOSES[of]


class Fresh:
    """What has just been learnt, to find by it those who are connected: asked of each of very many."""

    def __init__(self, said: Iterable[Revocation]) -> None:
        named: dict[Revoked, dict[str, float]] = {of: {} for of in Revoked}
        for each in said:
            named[each.of][each.name] = each.before
        self._tokens, self._sessions, self._users = (named[of] for of in Revoked)

    def close(self, user: User) -> Close | None:
        if user.token_id in self._tokens:
            return _CLOSES[Revoked.TOKEN]
        if self._sessions and user.session and known_as(Revoked.SESSION, user.session) in self._sessions:
            return _CLOSES[Revoked.SESSION]
        before = self._users.get(user.id)
        # Of whom it is not known since when the credential is there, it was there before it was revoked.
        if before is not None and (user.issued is None or user.issued < before):
            return _CLOSES[Revoked.USER]
        return None
