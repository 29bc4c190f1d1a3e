"""One authenticator or several behind one handshake.

Which one is asked is known before any of them is called. It follows from the carrier; where several read that one,
from the issuer that the token names (`iss`), which is read unverified and says whom to ask, never what to believe. At
most one of them takes what no other one's issuer is named in. Asking one after the other until somebody says yes lost:
it makes an answer of "no" depend on all of them and hands a secret to those it was not meant for.
"""

import base64
import json
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
    _check_apart([each for each in authenticators if each.bearer], "bearer tokens")
    names = [each.cookie for each in authenticators if each.cookie is not None]
    for name in names:
        if not _COOKIE_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be the name of a cookie")
        _check_apart([each for each in authenticators if each.cookie == name], f"the cookie {name!r}")
    for each in authenticators:
        if each.cookie is None and not each.bearer:
            raise ConfigurationError(f"{type(each).__name__} reads neither a cookie nor bearer tokens")
    return authenticators


def _check_apart(readers: Sequence[Authenticator], what: str) -> None:
    """Of those that read the same thing, at most one does so whatever issuer is named, and no issuer is named twice."""
    if sum(not _issuers(each) for each in readers) > 1:
        raise ConfigurationError(
            f"two authenticators read {what}, and nothing says which one is asked: give all but one an issuer"
        )
    named = [issuer for each in readers for issuer in _issuers(each)]
    if len(readers) > 1 and (twice := next((issuer for issuer in named if named.count(issuer) > 1), None)):
        raise ConfigurationError(f"two authenticators read {what} of the issuer {twice!r}; one is asked")


def _issuers(authenticator: Authenticator) -> Sequence[str]:
    """Whose tokens alone it is for; empty where it says nothing of that."""
    issuers: Sequence[str] = getattr(authenticator, "issuers", ())
    return issuers


def _check(each: Any) -> None:
    """What it says of itself is what it is: a method called `bearer`, never called, would be true."""
    name = each.__name__ if isinstance(each, type) else type(each).__name__
    if isinstance(each, type) or not callable(getattr(each, "authenticate", None)):
        raise ConfigurationError(f"{name} is no authenticator: an object with `cookie`, `bearer` and `authenticate`")
    bearer, cookie = getattr(each, "bearer", None), getattr(each, "cookie", None)
    if not isinstance(bearer, bool):
        raise ConfigurationError(f"{name}.bearer is True or False, not {type(bearer).__name__}")
    issuers = getattr(each, "issuers", ())
    if isinstance(issuers, str) or not (isinstance(issuers, Sequence) and all(isinstance(one, str) for one in issuers)):
        raise ConfigurationError(f"{name}.issuers is a tuple of str, not {type(issuers).__name__}")
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
    credential = found.credential
    by_cookie = credential.carrier is Carrier.COOKIE
    readers = [each for each in authenticators if (each.cookie == found.cookie if by_cookie else each.bearer)]
    if not readers:
        return Unusable(credential.carrier, "nobody here takes bearer tokens", CredentialFault.NOT_TAKEN)
    if len(readers) == 1:
        return Claim(credential, readers[0])
    issuer = _issuer_named(credential.value)
    for wanted in (lambda each: issuer in _issuers(each), lambda each: not _issuers(each)):
        for each in filter(wanted, readers):
            return Claim(credential, each)
    return Unusable(credential.carrier, "nobody here takes tokens of its issuer", CredentialFault.ISSUER)


def _issuer_named(token: str) -> str | None:
    """The `iss` that stands in a JWT, whoever wrote it there; None where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    issuer = payload.get("iss") if isinstance(payload, dict) else None
    return issuer if isinstance(issuer, str) else None
