import asyncio
import time
from typing import Any

import pytest

from hubbub.auth.sessions import SessionAuth
from hubbub.errors import ExpiredCredential, InvalidCredential
from hubbub.ports.auth import Authenticator, Carrier, Credential
from hubbub.types import User, UserId

ALICE = User(UserId("alice"), claims={"role": "admin"})


class Store:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def user_of(self, session_id: str) -> User | None:
        self.asked.append(session_id)
        return ALICE if session_id == "s1" else None


class CallableStore(Store):
    async def __call__(self, session_id: str) -> User | None:
        raise AssertionError("the store's method is asked, not the store")


def ask(auth: Authenticator, session_id: str = "s1") -> User:
    return asyncio.run(auth.authenticate(Credential(Carrier.COOKIE, session_id)))


def giving(result: Any) -> SessionAuth:
    async def load(session_id: str) -> Any:
        return result

    return SessionAuth(load)


def test_it_reads_its_cookie_and_no_bearer() -> None:
    assert (SessionAuth(Store()).cookie, SessionAuth(Store(), cookie="sid").cookie) == ("session", "sid")
    assert SessionAuth(Store()).bearer is False
    assert repr(SessionAuth(Store(), cookie="sid")) == "SessionAuth(cookie='sid')"


@pytest.mark.parametrize("kind", [Store, CallableStore])
def test_the_store_is_asked_for_what_was_presented(kind: type[Store]) -> None:
    store = kind()
    found = ask(SessionAuth(store))
    assert found == ALICE
    assert found.session == "s1"
    assert "s1" not in repr(found)
    assert ALICE.session is None  # the store's own stays what it is
    assert store.asked == ["s1"]


def test_a_function_is_a_store() -> None:
    assert ask(SessionAuth(Store().user_of)) == ALICE


def test_the_store_may_say_what_the_session_is_called() -> None:
    """Where the cookie is signed, an application revokes what it knows it by."""
    named = User(id="alice", session="row 7", claims={"a": 1})
    assert ask(SessionAuth(lambda _: named)) is named


def test_no_session_is_an_invalid_credential() -> None:
    with pytest.raises(InvalidCredential) as raised:
        ask(SessionAuth(Store()), "S3CRET")
    assert "S3CRET" not in str(raised.value)


def test_a_session_that_is_over_has_expired() -> None:
    past, future = time.time() - 1, time.time() + 60
    with pytest.raises(ExpiredCredential):
        ask(giving(User(UserId("alice"), expires=past)))
    assert ask(giving(User(UserId("alice"), expires=future))).expires == future


def test_a_failing_store_is_no_forged_cookie() -> None:
    async def load(session_id: str) -> User | None:
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        ask(SessionAuth(load))


@pytest.mark.parametrize("result", ["alice", 7, {"id": "alice"}, True, False, ""])
def test_a_store_that_gives_no_user_is_told(result: Any) -> None:
    with pytest.raises(TypeError, match=type(result).__name__):
        ask(giving(result))


@pytest.mark.parametrize("id", [7, "", "a" * 129, "a\nb", "\ud800"])
def test_a_user_whose_id_cannot_be_is_told(id: Any) -> None:
    with pytest.raises(ValueError, match=r"User\.id"):
        ask(giving(User(id)))
