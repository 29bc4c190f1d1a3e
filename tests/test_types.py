from dataclasses import FrozenInstanceError, replace
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from hubbub.types import (
    EVERYONE,
    OCCUPIED,
    ONLINE,
    OWN_ROOM,
    Position,
    User,
    UserId,
    room_of,
    room_topic,
    shown_as,
    user_topic,
)


@given(st.text(), st.text())
def test_no_two_things_share_a_topic(one: str, other: str) -> None:
    topics = {EVERYONE, ONLINE, OCCUPIED, room_topic(one), user_topic(one), room_topic(other), user_topic(other)}
    assert len(topics) == (5 if one == other else 7)


@given(st.text())
def test_a_room_is_read_back_from_its_topic(name: str) -> None:
    assert room_of(room_topic(name)) == name


@given(st.text())
def test_the_topic_of_a_user_is_no_room_whatever_the_user_is_called(name: str) -> None:
    assert room_of(user_topic(name)) is None
    assert room_of(user_topic(f"room:{name}")) is None


@pytest.mark.parametrize("topic", [EVERYONE, ONLINE, OCCUPIED])
def test_the_topics_of_all_are_no_rooms(topic: str) -> None:
    assert room_of(topic) is None  # type: ignore[arg-type]


def test_the_own_room_has_its_name_of_the_wire() -> None:
    assert OWN_ROOM == "@me"


@given(st.text(min_size=1))
def test_a_topic_is_shown_as_the_room_a_client_asks_for(name: str) -> None:
    assert shown_as(room_topic(name)) == name
    assert shown_as(user_topic(name)) == OWN_ROOM


def test_what_a_credential_said_stays_out_of_the_repr_of_a_user() -> None:
    user = User(UserId("alice"), claims={"email": "alice@example.org"}, expires=1.0)
    assert "alice" in repr(user)
    assert "example.org" not in repr(user)


def test_a_user_is_the_id_alone_whatever_else_the_credential_said() -> None:
    alice = User(UserId("alice"), claims={"a": 1}, expires=1.0)
    assert alice == User(UserId("alice"))
    assert hash(alice) == hash(User(UserId("alice")))
    assert alice != User(UserId("bob"), claims={"a": 1}, expires=1.0)


def test_a_user_without_more_has_no_claims_and_does_not_expire() -> None:
    user = User(UserId("alice"))
    assert user.claims == {}
    assert user.expires is None


def test_users_do_not_share_their_claims() -> None:
    assert User(UserId("alice")).claims is not User(UserId("bob")).claims


@pytest.mark.parametrize(("value", "name"), [(User(UserId("alice")), "id"), (Position("a", 7), "offset")])
def test_neither_a_user_nor_a_position_changes(value: object, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, "other")


def test_a_position_is_its_epoch_and_its_offset() -> None:
    here = Position("a", 7)
    assert here == Position("a", 7)
    assert here != replace(here, epoch="b")
    assert here != replace(here, offset=8)


async def test_nobody_is_whom_they_say_where_a_path_operation_asks_for_a_user() -> None:
    app = FastAPI()

    async def current(user: User) -> str:
        return user.id

    @app.post("/me")
    async def me(name: Annotated[str, Depends(current)]) -> str:
        return name

    @app.get("/shown")
    async def shown() -> User:
        return User("alice", {"role": "admin"})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        refused = await http.post("/me", json={"id": "root", "claims": {}})
        assert refused.status_code == 422
        assert "a User is who the hub knows to be there" in refused.text
        assert (await http.get("/shown")).json()["claims"] == {"role": "admin"}
        assert (await http.get("/openapi.json")).status_code == 200
