import asyncio
import base64
import json
from typing import Any

import pytest

from hubbub.auth.carriers import Absent, Malformed, Unusable
from hubbub.auth.select import Claim, arrange, examine, examine_message
from hubbub.errors import ConfigurationError, CredentialFault
from hubbub.ports.auth import Authenticator, Carrier, Credential
from hubbub.types import User, UserId


class Reads:
    """An authenticator that believes everybody, and remembers what it was shown."""

    def __init__(self, *, cookie: str | None = None, bearer: bool = False, issuers: Any = ()) -> None:
        self.cookie = cookie
        self.bearer = bearer
        self.issuers = issuers
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
        ((BEARER, BOTH), "two authenticators read bearer tokens, and nothing says which"),
        ((BEARER, BEARER), "two authenticators read bearer tokens, and nothing says which"),
        ((Reads(bearer=True, issuers=("a", "b")), Reads(bearer=True, issuers=("b",))), "of the issuer 'b'"),
        ((Reads(bearer=True, issuers="a"),), "issuers is a tuple of str, not str"),
        ((Reads(bearer=True, issuers=(7,)),), "issuers is a tuple of str, not tuple"),
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


def token_of(issuer: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"iss": issuer}).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def test_of_several_that_read_it_the_one_is_asked_whose_issuer_is_named() -> None:
    a, b = Reads(bearer=True, issuers=("a", "A")), Reads(bearer=True, cookie="session", issuers=("b",))
    other = Reads(bearer=True, cookie="session")
    for issuer, asked in (("a", a), ("A", a), ("b", b), ("c", other), (7, other), (["a"], other), (None, other)):
        assert examine_message(token_of(issuer), arrange((a, b, other)), limit=200) == claim(
            Carrier.MESSAGE, token_of(issuer), asked
        )
    cookie = scope(b"", f"session={token_of('b')}".encode())
    assert examine(cookie, (a, b, other), limit=200) == claim(Carrier.COOKIE, token_of("b"), b)
    # The first present decides alone, whoever is named in the other one.
    two = scope(f"token={token_of('c')}".encode(), f"session={token_of('b')}".encode())
    assert examine(two, (a, b, other), limit=200) == claim(Carrier.QUERY, token_of("c"), other)


@pytest.mark.parametrize("token", [token_of("c"), token_of(["a"]), "T", "..", "a.b.c", "e30.W10.c2ln", "e30.\u00e9.x"])
def test_what_names_no_issuer_of_theirs_goes_to_nobody(token: str) -> None:
    said, fault = "nobody here takes tokens of its issuer", CredentialFault.ISSUER
    several = arrange((Reads(bearer=True, issuers=("a",)), Reads(bearer=True, issuers=("b",))))
    assert examine_message(token, several, limit=200) == Unusable(Carrier.MESSAGE, said, fault)


def test_a_payload_of_nothing_but_brackets_names_nobody() -> None:
    several = (Reads(bearer=True, issuers=("a",)), BEARER)
    token = f"e30.{base64.urlsafe_b64encode(b'[' * 6000).decode()}.x"
    assert examine_message(token, several, limit=9000) == claim(Carrier.MESSAGE, token, BEARER)
