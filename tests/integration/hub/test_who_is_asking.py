"""Dependencies see who is asking: what the hub has is given to them at any depth, however they are written.

The file is longer than others: the same few dependencies are written in every form that there is.
"""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import pytest
from fastapi import Depends, FastAPI, Query, Request, Security
from fastapi.security import SecurityScopes
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

from hubbub import ConfigurationError, Connection, Hub, HubDep, User
from hubbub.types import UserId
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: Any = None


async def named(user: User, connection: Connection, hub: Hub, message: Say) -> str:
    assert connection.user is user
    assert hub.node == connection.node
    return f"{user.id} {message.what}"


def in_a_thread(user: User, hub: HubDep) -> str:
    return f"{user.id} {hub.run(hub.user(user.id).is_online())}"


async def opened(name: Annotated[str, Depends(named)], user: User) -> AsyncIterator[str]:
    seen.append(f"open {user.id}")
    yield name
    seen.append(f"close {user.id}")


def opened_in_a_thread(user: User) -> Iterator[str]:
    yield user.id


class Account:
    def __init__(self, user: "User", name: Annotated[str, Depends(named)]) -> None:
        self.text = f"{user.id} {name}"


class Asking:
    def __init__(self, word: str) -> None:
        self.word = word

    async def __call__(self, user: "Annotated[User, 'who']") -> str:
        return f"{self.word} {user.id}"

    async def method(self, connection: Connection) -> str:
        return f"{self.word} {connection.user.id}"


async def filled(word: str, user: User) -> str:
    return f"{word} {user.id}"


async def deep(one: Annotated[str, Depends(opened)], *, two: str = Depends(in_a_thread)) -> str:
    return f"{one}, {two}"


async def deeper(all_of_it: Annotated[str, Depends(deep)], user: User) -> str:
    return f"{all_of_it}, {user.id}"


async def test_whatever_the_hub_has_at_any_depth() -> None:
    hub = Hub(auth=Names())

    @hub.on(Say)
    async def say(
        message: Say,
        named_: Annotated[str, Depends(named)],
        threaded: Annotated[str, Depends(in_a_thread)],
        opened_: Annotated[str, Depends(opened)],
        opened_in_a_thread_: Annotated[str, Depends(opened_in_a_thread)],
        account: Annotated[Account, Depends()],
        object_: Annotated[str, Depends(Asking("hello"))],
        method: Annotated[str, Depends(Asking("hello").method)],
        filled_: Annotated[str, Depends(partial(filled, "hello"))],
        deep_: Annotated[str, Depends(deep)],
        deeper_: Annotated[str, Depends(deeper)],
        user: User,
        hub: Hub,
    ) -> list[str]:
        seen.append("handler")
        return [
            *(named_, threaded, opened_, opened_in_a_thread_, account.text, object_, method, filled_, deep_, deeper_),
            *(user.id, hub.node),
        ]

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
        assert (await ann.request("say", what=7))["result"] == [
            *("ann 7", "ann True", "ann 7", "ann", "ann ann 7", "hello ann", "hello ann", "hello ann"),
            *("ann 7, ann True", "ann 7, ann True, ann", "ann", hub.node),
        ]
        assert seen == ["open ann", "handler", "close ann"]
        assert (await bob.request("say", what=8))["result"][0] == "bob 8"


async def test_it_is_solved_once_a_message_and_anew_where_that_is_asked_for() -> None:
    hub = Hub(auth=Names())

    async def counted(user: User) -> int:
        seen.append(user.id)
        return len(seen)

    async def one(number: Annotated[int, Depends(counted)]) -> int:
        return number

    async def two(number: Annotated[int, Depends(counted)], user: User) -> int:
        return number

    @hub.on(Say)
    async def say(
        message: Say,
        a: Annotated[int, Depends(one)],
        b: Annotated[int, Depends(two)],
        c: Annotated[int, Depends(counted)],
        d: Annotated[int, Depends(counted, use_cache=False)],
    ) -> list[int]:
        return [a, b, c, d]

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == [1, 1, 1, 2]
        assert (await tab.request("say"))["result"] == [3, 3, 3, 4]


async def test_checks_and_their_dependencies_see_room_and_user() -> None:
    hub = Hub(auth=Names())

    async def member(team_id: int, user: User) -> str:
        return f"{user.id} of {team_id + 1}"

    class Team:
        def __init__(self, team_id: int, who: Annotated[str, Depends(member)], connection: Connection) -> None:
            seen.append((team_id, who, connection.user.id))

    @hub.rooms("team:{team_id}")
    async def check(team: Annotated[Team, Depends()], hub: Hub) -> bool:
        return bool(hub.node)

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("team:7")
        assert seen == [(7, "ann of 8", "ann")]


async def test_what_overrides_a_dependency_may_ask_as_well() -> None:
    hub = Hub(auth=Names())

    async def inner() -> str:
        raise AssertionError("the real one was asked")

    async def outer(user: User, name: Annotated[str, Depends(inner)]) -> str:
        return f"{user.id} {name}"

    async def other(name: Annotated[str, Depends(inner)]) -> str:
        return name

    async def nothing(user: User) -> str:
        raise AssertionError("the real one was asked")

    def of_http(request: Request, user: User | None = None) -> str:
        raise AssertionError("nobody asked")

    async def fake(user: User, message: Say) -> str:
        return f"fake {user.id} {message.what}"

    @hub.on(Say)
    async def say(
        message: Say,
        a: Annotated[str, Depends(outer)],
        b: Annotated[str, Depends(other)],
        c: Annotated[str, Depends(nothing)],
    ) -> list[str]:
        return [a, b, c]

    app = simple(hub)
    app.dependency_overrides |= {inner: fake, nothing: lambda: "plain", in_a_thread: of_http}
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say", what=7))["result"] == ["ann fake ann 7", "fake ann 7", "plain"]
        app.dependency_overrides = {outer: fake, inner: lambda: "inner", nothing: fake}
        assert (await tab.request("say", what=8))["result"] == ["fake ann 8", "inner", "fake ann 8"]


async def test_a_dependency_of_ones_own_is_not_passed_over() -> None:
    hub = Hub(auth=Names())

    async def somebody(user: User) -> User:
        return User(UserId(f"deputy of {user.id}"))

    deputy: Any = Depends(somebody)
    Deputy = TypeAliasType("Deputy", Annotated[User, Depends(somebody)])  # noqa: N806 - as `type` writes it

    async def told(user: Annotated[User, Depends(somebody)], by_default: User = deputy) -> str:
        return f"{user.id}, {by_default.id}"

    @hub.on(Say)
    async def say(
        message: Say,
        words: Annotated[str, Depends(told)],
        asked: Annotated[User, Depends()],
        by_name: Deputy,
        by_default: User = deputy,
    ) -> list[str]:
        return [words, asked.id, by_name.id, by_default.id]

    async with serving(simple(hub)) as server, Tab(server.ws, "/ws?id=mallory", token="ann") as tab:
        assert (await tab.request("say"))["result"] == [
            *("deputy of ann, deputy of ann", "ann", "deputy of ann", "deputy of ann")
        ]


async def test_security_scopes_are_those_of_the_whole_way() -> None:
    hub = Hub(auth=Names())

    async def allowed(scopes: SecurityScopes, user: User) -> str:
        return f"{user.id} {scopes.scope_str}"

    async def writer(
        user: User,
        inner: Annotated[str, Security(allowed, scopes=["write"])],
        plain: Annotated[str, Depends(allowed)],
    ) -> str:
        return f"{inner}; {plain}"

    @hub.on(Say)
    async def say(
        message: Say,
        one: Annotated[str, Security(writer, scopes=["rooms", "read"])],
        two: Annotated[str, Security(allowed, scopes=["say"])],
        three: str = Security(allowed, scopes=["other"]),
    ) -> list[str]:
        return [one, two, three]

    @hub.rooms("room:{name}")
    async def check(name: str, scoped: Annotated[str, Security(writer, scopes=["join"])]) -> bool:
        return scoped == "ann join write; ann join"

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == [
            "ann rooms read write; ann rooms read",
            "ann say",
            "ann other",
        ]
        await tab.join("room:x")


class Shout(BaseModel):
    type: Literal["shout"]
    text: str


class Whisper(BaseModel):
    type: Literal["whisper", "breathe"]
    to: str


class Sing(BaseModel):
    type: Literal["sing"]


Loud: TypeAlias = Shout | Sing
Sound: TypeAlias = Annotated[Loud | Whisper, Field(discriminator="type")]


async def test_a_handler_of_a_union_gets_each_of_its_models() -> None:
    hub = Hub(auth=Names())

    async def heard(message: "Whisper | Annotated[Loud, 'loud']", user: User) -> str:
        return f"{user.id} {type(message).__name__}"

    @hub.on(Sound)
    async def sound(message: Sound, words: Annotated[str, Depends(heard)]) -> str:
        return f"{words} {message.type}"

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("shout", text="hey"))["result"] == "ann Shout shout"
        assert (await tab.request("breathe", to="bob"))["result"] == "ann Whisper breathe"
        assert (await tab.request("sing"))["result"] == "ann Sing sing"
        refused = await tab.request("whisper", text="hey")
        assert (refused["code"], refused["field"]) == ("invalid_message", "to")


async def test_a_dependency_that_is_annotated_any_is_one_like_all_others() -> None:
    """`Annotated[Any, Depends(…)]` is what `typing` gives anybody who writes the like."""
    hub = Hub(auth=Names())

    async def asked(user: User) -> str:
        return user.id

    written: Any = Annotated[Any, Depends(asked)]

    @hub.on(Say)
    async def say(message: Say, who: written) -> Any:
        return who

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann:
        assert (await ann.request("say"))["result"] == "ann"


async def test_a_dependency_of_one_message_is_none_of_another() -> None:
    async def heard(message: Shout, user: User) -> str:
        return f"{user.id} {message.text}"

    hub = Hub()

    @hub.on(Shout)
    async def shout(message: Shout, words: Annotated[str, Depends(heard)]) -> str:
        return words

    async def whisper(message: Whisper, words: Annotated[str, Depends(heard)]) -> str:
        return words

    with pytest.raises(ConfigurationError, match=r"heard, for .*whisper: 'message' is neither the declared message"):
        hub.on(Whisper)(whisper)


async def test_a_part_of_the_routers_prefix_is_of_the_path_at_any_depth() -> None:
    hub = Hub(auth=Names())

    def words(tenant: str, user: User, word: str = "none") -> str:
        return f"{tenant} {user.id} {word}"

    def nothing() -> str:
        return "nothing"

    @hub.on(Say)
    async def say(
        message: Say, tenant: str, told: Annotated[str, Depends(words)], other: Annotated[str, Depends(nothing)]
    ) -> list[str]:
        return [tenant, told, other]

    @hub.rooms("of:{name}")
    async def of(name: str, tenant: str) -> bool:
        return name == tenant

    app = simple(hub)
    app.include_router(hub.router, prefix="/of/{tenant}")
    app.dependency_overrides[nothing] = words
    async with serving(app) as server, Tab(server.ws, "/of/acme/ws?tenant=bank&word=hi", token="ann") as tab:
        assert (await tab.request("say"))["result"] == ["acme", "acme ann hi", "acme ann hi"]
        assert (await tab.request("join_room", room="of:bank"))["code"] == "forbidden"
        assert (await tab.request("join_room", room="of:acme"))["type"] == "room_joined"
        async with Tab(server.ws, "/ws?tenant=bank", token="bob") as bob:
            assert (await bob.request("say"))["result"][0] == "bank"


async def test_what_a_partial_has_filled_is_filled() -> None:
    hub = Hub(auth=Names())

    async def asked(user: User, role: str, word: str = "") -> str:
        return f"{user.id} {role} {word}"

    def in_a_thread(role: str) -> str:
        return role

    @hub.on(Say)
    async def say(
        message: Say,
        admin: Annotated[str, Depends(partial(asked, role="admin"))],
        deputy: Annotated[str, Depends(partial(asked, user=User(UserId("deputy")), role="none"))],
        threaded: Annotated[str, Depends(partial(in_a_thread, role="guest"))],
        elsewhere: Annotated[str, Depends(partial(asked, role=Depends(named), word=Query("", alias="role")))],
    ) -> list[str]:
        return [admin, deputy, threaded, elsewhere]

    async with serving(simple(hub)) as server, Tab(server.ws, "/ws?role=root&word=hi", token="ann") as ann:
        assert (await ann.request("say"))["result"] == [
            *("ann admin hi", "deputy none hi", "guest", "ann ann None root")
        ]


async def test_a_hub_of_a_class_of_ones_own_is_known_by_both() -> None:
    class Mine(Hub):
        motto = "hello"

    hub = Mine(auth=Names())

    async def by_base(hub: Hub) -> str:
        return hub.node

    @hub.on(Say)
    async def say(message: Say, node: Annotated[str, Depends(by_base)], hub: Mine) -> list[Any]:
        return [node == hub.node, hub.motto]

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == [True, "hello"]


async def test_in_a_route_of_ones_own_a_dependency_takes_the_routes_connection() -> None:
    hub = Hub(auth=Names())
    Accepted: TypeAlias = Annotated[Connection, Depends(hub.accept)]

    async def asking(connection: Accepted) -> str:
        return f"hello {connection.user.id}"

    app = simple(hub)

    @app.websocket("/own")
    async def own(connection: Accepted, words: Annotated[str, Depends(asking)]) -> None:
        async for _ in connection:
            await connection.send({"type": "words", "words": words})

    async with serving(app) as server, Tab(server.ws, "/own", token="ann") as tab:
        await tab.send({"type": "any"})
        assert (await tab.receive("words"))["words"] == "hello ann"
