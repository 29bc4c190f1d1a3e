"""One authenticator or several behind one handshake.

Which one is asked follows from the carrier alone, before any of them is called: at most one reads bearer tokens
(subprotocol, query, first message) and each cookie name belongs to one. Asking one after the other until somebody
says yes lost: it makes an answer of "no" depend on all of them and hands a secret to those it was not meant for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from hubbub.auth.carriers import Absent, Found, Malformed, Unusable, find_credential, read_message
from hubbub.errors import ConfigurationError, CredentialFault
from hubbub.ports.auth import Authenticator, Carrier, Credential
from hubbub.scheduling.calls import awaiting

# RFC 6265 section 4.1.1: a cookie's name is a token.
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential, and the only authenticator that is to judge it."""

    credential: Credential
    authenticator: Authenticator

    @property
    def carrier(self) -> Carrier:
        return self.credential.carrier

    async def judge(self) -> Any:
        """What the authenticator says, which should be a User.

        Raises InvalidCredential or ExpiredCredential, and whatever a failing store raises.
        """
        return await awaiting(self.authenticator.authenticate)(self.credential)


Examined: TypeAlias = Absent | Claim | Unusable | Malformed


def arrange(auth: Authenticator | Sequence[Authenticator]) -> tuple[Authenticator, ...]:
    """The authenticators of a hub, in their order.

    Raises ConfigurationError where two would read the same thing, one reads nothing, a cookie's name is none, or one is
    no authenticator.
    """
    authenticators = tuple(auth) if isinstance(auth, Sequence) else (auth,)
    for each in authenticators:
        _check(each)
    if sum(each.bearer for each in authenticators) > 1:
        raise ConfigurationError("two authenticators read bearer tokens; only one can, give the other cookies only")
    names = [each.cookie for each in authenticators if each.cookie is not None]
    for name in names:
        if not _COOKIE_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be the name of a cookie")
        if names.count(name) > 1:
            raise ConfigurationError(f"two authenticators read the cookie {name!r}; give each a name of its own")
    for each in authenticators:
        if each.cookie is None and not each.bearer:
            raise ConfigurationError(f"{type(each).__name__} reads neither a cookie nor bearer tokens")
    return authenticators


def _check(each: Any) -> None:
    """What it says of itself is what it is: a method called `bearer`, never called, would be true."""
    name = each.__name__ if isinstance(each, type) else type(each).__name__
    if isinstance(each, type) or not callable(getattr(each, "authenticate", None)):
        raise ConfigurationError(f"{name} is no authenticator: an object with `cookie`, `bearer` and `authenticate`")
    bearer, cookie = getattr(each, "bearer", None), getattr(each, "cookie", None)
    if not isinstance(bearer, bool):
        raise ConfigurationError(f"{name}.bearer is True or False, not {type(bearer).__name__}")
    if not (cookie is None or isinstance(cookie, str)):
        raise ConfigurationError(f"{name}.cookie is the name of a cookie or None, not {type(cookie).__name__}")


def examine(scope: Mapping[str, Any], authenticators: Sequence[Authenticator], *, limit: int) -> Examined:
    """What a handshake presents, and to whom: ask this first, then check the Origin, then `judge` a Claim.

    `limit` is the most bytes a credential may have. A cookie that no authenticator reads is absent. A bearer
    presented where none reads bearers is Unusable.
    """
    cookies = [each.cookie for each in authenticators if each.cookie is not None]
    presented = find_credential(scope, cookies=cookies, limit=limit)
    match presented:
        case Found():
            return _assign(presented, authenticators)
        case Absent() | Unusable() | Malformed():
            return presented
        case _:
            assert_never(presented)


def examine_message(token: object, authenticators: Sequence[Authenticator], *, limit: int) -> Claim | Unusable:
    """As `examine`, for the `token` of a first message or a renewal."""
    presented = read_message(token, limit=limit)
    return _assign(presented, authenticators) if isinstance(presented, Found) else presented


def _assign(found: Found, authenticators: Sequence[Authenticator]) -> Claim | Unusable:
    for each in authenticators:
        reads = each.cookie == found.cookie if found.credential.carrier is Carrier.COOKIE else each.bearer
        if reads:
            return Claim(found.credential, each)
    return Unusable(found.credential.carrier, "nobody here takes bearer tokens", CredentialFault.NOT_TAKEN)
