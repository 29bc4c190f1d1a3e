"""What a worker knows of what is revoked: whom it is held against, and until when."""

import pytest

from hubbub import closes
from hubbub.connection.revocations import Fresh, Revocations
from hubbub.errors import CredentialFault, InvalidCredential
from hubbub.protocol.revocation import Revocation, Revoked, known_as
from hubbub.types import User

NOW, WALL = 10.0, 1_000.0


def said(of: Revoked, name: str, *, before: float = 0.0, until: float = WALL + 100) -> Revocation:
    return Revocation(of, known_as(of, name), before, until)


def known(*revocations: Revocation) -> Revocations:
    table = Revocations()
    for each in revocations:
        assert table.learn(each, NOW, WALL)
    return table


def test_a_token_and_a_session_are_their_own() -> None:
    table = known(said(Revoked.TOKEN, "t"), said(Revoked.SESSION, "s"))
    assert len(table) == 2
    for user, of in (
        (User("ann", token_id="t"), Revoked.TOKEN),
        (User("ann", session="s"), Revoked.SESSION),
        (User("ann", token_id="s", session="t"), None),
        (User("t"), None),
        (User("ann", token_id=""), None),
    ):
        assert table.of(user) is of
        close = Fresh(table).close(user)
        assert table.close(user) == close
        assert (close is None) == (of is None)
        assert close is None or close.code == closes.CREDENTIAL_INVALID.code
        if of is None:
            table.check(user)
        else:
            with pytest.raises(InvalidCredential, match=f"the {of} was revoked") as refused:
                table.check(user)
            assert refused.value.fault is CredentialFault.REVOKED


def test_of_a_user_what_is_older() -> None:
    table = known(said(Revoked.USER, "ann", before=500.0))
    old, new, unknown = (User("ann", issued=issued) for issued in (499.9, 500.0, None))
    assert [table.of(user) for user in (old, new, unknown, User("bob", issued=0.0))] == [Revoked.USER, None, None, None]
    with pytest.raises(InvalidCredential, match="tokens of then were revoked"):
        table.check(old)
    fresh = Fresh(table)
    assert [close and close.code for close in map(fresh.close, (old, new, unknown, User("bob")))] == [
        4003,
        None,
        4003,
        None,
    ]


def test_nothing_is_held_against_anybody_where_nothing_is_revoked() -> None:
    assert Revocations().of(User("ann", token_id="t", session="s", issued=0.0)) is None


def test_what_is_said_again_is_no_news_unless_it_says_more() -> None:
    table = known(said(Revoked.USER, "ann", before=500.0), said(Revoked.TOKEN, "t"))
    assert not table.learn(said(Revoked.TOKEN, "t", until=WALL + 200), NOW, WALL)
    assert not table.learn(said(Revoked.USER, "ann", before=400.0), NOW, WALL)
    assert table.learn(said(Revoked.USER, "ann", before=600.0, until=WALL), NOW, WALL)
    assert {(each.before, each.until) for each in table} == {(600.0, WALL + 100), (0.0, WALL + 200)}


def test_it_ends_by_a_clock_that_never_jumps() -> None:
    table = known(said(Revoked.TOKEN, "t", until=WALL + 50), said(Revoked.SESSION, "s"))
    table.forget(NOW + 49.9)
    assert len(table) == 2
    table.forget(NOW + 50)
    assert [each.of for each in table] == [Revoked.SESSION]
