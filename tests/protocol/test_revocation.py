"""What is revoked, as it crosses the broker, and what may be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.protocol.revocation import LONGEST, MARGIN, Revocation, Revoked, known_as, revocation

NOW = 1_000.0


def asked(**said: object) -> Revocation:
    nothing = dict.fromkeys(("token", "session", "user", "until", "issued_before"))
    return revocation(**{**nothing, **said}, known=500.0, now=NOW)  # type: ignore[arg-type]


@given(
    st.binary()
    | st.sampled_from([b"[" * 100_000, b'["token","a",0]', b'["token","a",0,"x"]', b'["key","a",0,0]', b"{}"])
)
def test_what_cannot_be_read_is_none(data: bytes) -> None:
    assert Revocation.decode(data) is None


def test_what_another_release_says_is_none() -> None:
    assert Revocation.decode(b'["key","a",0,0]') is None
    # Nor what is no time: whoever starts reads all that is remembered, and would not start.
    assert Revocation.decode(b'["token","a",0,1%b]' % (b"0" * 400)) is None


def test_what_is_said_is_read() -> None:
    said = asked(user="ann\0ö")
    assert said == (Revoked.USER, "ann\0ö", NOW, NOW + 500.0 + MARGIN)
    assert Revocation.decode(said.encode()) == said


def test_until_when_and_of_what_age() -> None:
    assert asked(token="a", until=NOW + 5) == (Revoked.TOKEN, "a", 0.0, NOW + 5 + MARGIN)
    assert asked(token="a", until=5).until == NOW + MARGIN
    assert asked(user="ann", issued_before=7).before == 7.0


def test_a_session_is_never_said_as_it_is() -> None:
    said = asked(session="s3cret")
    assert b"s3cret" not in said.encode()
    assert said.name == known_as(Revoked.SESSION, "s3cret") != known_as(Revoked.SESSION, "s3crets")


@pytest.mark.parametrize(
    ("said", "kind", "names"),
    [
        ({}, TypeError, "one of token=, session= and user="),
        ({"token": "a", "user": "b"}, TypeError, "one of token="),
        ({"token": 7}, TypeError, "token is a string"),
        ({"session": ""}, ValueError, "session has 1 to"),
        ({"user": "x" * (LONGEST + 1)}, ValueError, "user has 1 to"),
        ({"token": "a", "issued_before": 1}, TypeError, "issued_before goes with user="),
        ({"token": "a", "until": "soon"}, TypeError, "until is a Unix time"),
        ({"token": "a", "until": True}, TypeError, "until is a Unix time"),
        ({"token": "a", "until": float("inf")}, ValueError, "until is a Unix time"),
        ({"user": "a", "issued_before": -1}, ValueError, "issued_before is a Unix time"),
    ],
)
def test_what_cannot_be_asked_for(said: dict[str, object], kind: type[Exception], names: str) -> None:
    with pytest.raises(kind, match=names):
        asked(**said)
