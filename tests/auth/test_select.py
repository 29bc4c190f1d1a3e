import asyncio
from typing import Any

import pytest

from hubbub.auth.carriers import Absent, Malformed, Unusable
from hubbub.auth.select import Claim, arrange, examine, examine_message
from hubbub.errors import ConfigurationError, CredentialFault
from hubbub.ports.auth import Authenticator, Carrier, Credential
from hubbub.types import User, UserId


class Reads:
    """An authenticator that believes everybody, and remembers what it was shown."""

    def __init__(self, *, cookie: str | None = None, bearer: bool = False) -> None:
        self.cookie = cookie
        self.bearer = bearer
        self.asked: list[Credential] = []

    async def authenticate(self, credential: Credential) -> User:
        self.asked.append(credential)
        return User(UserId("alice"))


def scope(query: bytes = b"", cookie: bytes = b"", offered: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"query_string": query, "headers": [(b"cookie", cookie)], "subprotocols": list(offered)}


BEARER, SESSION, ADMIN = Reads(bearer=True), Reads(cookie="session"), Reads(cookie="admin")
BOTH = Reads(bearer=True, cookie="session")
ALL = (BEARER, SESSION, ADMIN)


@pytest.mark.parametrize("authenticators", [(BEARER,), (BOTH, ADMIN), ALL, (SESSION, ADMIN)])
def test_authenticators_keep_their_order(authenticators: tuple[Authenticator, ...]) -> None:
    assert arrange(authenticators) == arrange(list(authenticators)) == authenticators


def test_one_is_a_sequence_of_one() -> None:
    assert arrange(BEARER) == (BEARER,)
    assert arrange([]) == ()


@pytest.mark.parametrize(
    ("authenticators", "said"),
    [
        ((BEARER, BOTH), "two authenticators read bearer tokens"),
        ((BEARER, BEARER), "two authenticators read bearer tokens"),
        ((SESSION, Reads(cookie="session")), "two authenticators read the cookie 'session'"),
        ((BEARER, Reads()), "Reads reads neither"),
        ((Reads(cookie=""),), "cannot be the name of a cookie"),
        ((Reads(cookie="a b"),), "cannot be the name of a cookie"),
        ((Reads(cookie="a=b"),), "cannot be the name of a cookie"),
        ((Reads(cookie="a;b"),), "cannot be the name of a cookie"),
        ((Reads(cookie="caf\u00e9"),), "cannot be the name of a cookie"),
    ],
)
def test_what_would_be_ambiguous_is_refused(authenticators: tuple[Authenticator, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        arrange(authenticators)


def claim(carrier: Carrier, value: str, authenticator: Authenticator) -> Claim:
    return Claim(Credential(carrier, value), authenticator)


def test_the_carrier_says_who_is_asked() -> None:
    assert examine(scope(b"token=T", b"session=S"), ALL, limit=64) == claim(Carrier.QUERY, "T", BEARER)
    assert examine(scope(b"", b"session=S"), ALL, limit=64) == claim(Carrier.COOKIE, "S", SESSION)
    assert examine(scope(b"", b"admin=A"), ALL, limit=64) == claim(Carrier.COOKIE, "A", ADMIN)
    assert examine(scope(b"", b"session=S; admin=A"), (ADMIN, SESSION), limit=64) == claim(Carrier.COOKIE, "A", ADMIN)
    assert examine(scope(b"", b"session=S"), (BOTH,), limit=64) == claim(Carrier.COOKIE, "S", BOTH)
    offered = ("hubbub.v1", "hubbub.bearer.T")
    assert examine(scope(b"", b"session=S", offered), (SESSION, BEARER), limit=64) == claim(
        Carrier.SUBPROTOCOL, "T", BEARER
    )


def test_what_find_credential_refused_stays_refused() -> None:
    assert examine(scope(), ALL, limit=64) == Absent()
    assert examine(scope(b"", b"session=S"), (BEARER,), limit=64) == Absent()
    assert examine(scope(b"token=", b"session=S"), ALL, limit=64) == Unusable(Carrier.QUERY, "empty")
    assert examine(scope(b"token=TTT"), ALL, limit=2) == Unusable(Carrier.QUERY, "longer than 2 bytes")
    assert isinstance(examine(scope(b"", b"", ("hubbub.bearer.T",)), ALL, limit=64), Malformed)


def test_a_bearer_is_not_handed_to_who_reads_cookies() -> None:
    presented = examine(scope(b"token=T", b"session=S"), (SESSION,), limit=64)
    said, fault = "nobody here takes bearer tokens", CredentialFault.NOT_TAKEN
    assert presented == Unusable(Carrier.QUERY, said, fault)
    assert examine_message("T", (SESSION,), limit=64) == Unusable(Carrier.MESSAGE, said, fault)


def test_a_message_goes_to_who_takes_bearers() -> None:
    assert examine_message("T", ALL, limit=64) == claim(Carrier.MESSAGE, "T", BEARER)
    assert examine_message(["T"], ALL, limit=64) == Unusable(Carrier.MESSAGE, "token is a string")
    assert examine_message("TTT", ALL, limit=2) == Unusable(Carrier.MESSAGE, "longer than 2 bytes")


def test_only_the_one_it_belongs_to_judges_it() -> None:
    first, second = Reads(bearer=True), Reads(cookie="session")
    presented = examine(scope(b"", b"session=S"), (first, second), limit=64)
    assert isinstance(presented, Claim)
    assert first.asked == second.asked == []
    assert asyncio.run(presented.judge()) == User(UserId("alice"))
    assert (first.asked, second.asked) == ([], [Credential(Carrier.COOKIE, "S")])
    assert "'S'" not in repr(presented)
