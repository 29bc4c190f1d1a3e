"""`docs/reference/api.md` against the source: every name, parameter, default and member is there."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import hubbub
from hubbub.client import publisher
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from tests.docs.pages import plain, read, rows, sections

PAGE = "docs/reference/api.md"
GROUPS = [hubbub.Limits, hubbub.Rate, hubbub.RoomRate, hubbub.Heartbeat, hubbub.Leaving, hubbub.Addresses]
VALUES = [
    hubbub.Disconnect,
    hubbub.Edge,
    hubbub.Stats,
    hubbub.Worker,
    hubbub.Position,
    hubbub.Page,
    hubbub.History,
    hubbub.User,
    hubbub.Credential,
]
CLASSES = [hubbub.Hub, hubbub.Room, hubbub.EachRoom, hubbub.UserHandle, hubbub.Connection, hubbub.Lease, hubbub.JWTAuth]
#: What other parts of the package call on a connection, and an application has no reason to.
INNER = {"Connection": set(dir(hubbub.Connection)) - {
    "id", "node", "user", "rooms", "state", "closed", "text", "send", "send_sync", "room", "join", "leave", "close",
    "set_presence",
}}  # fmt: skip


def test_every_public_name_has_a_place() -> None:
    errors = {plain(name) for name, _, _ in rows(sections(PAGE)["Errors"])}
    assert set(hubbub.__all__) - set(sections(PAGE)) - errors == set()


def test_the_errors_and_what_they_are() -> None:
    for name, parent, meaning in rows(sections(PAGE)["Errors"]):
        error = getattr(hubbub, plain(name))
        assert error.__base__.__name__ == plain(parent)
        if parent == "`Refused`":
            assert f"`{error.code}`" in meaning
    listed = {plain(name) for name, _, _ in rows(sections(PAGE)["Errors"])}
    exceptions = {name for name in hubbub.__all__ if isinstance(getattr(hubbub, name), type)}
    assert listed == {name for name in exceptions if issubclass(getattr(hubbub, name), Exception)}


@pytest.mark.parametrize("group", GROUPS)
def test_every_field_with_its_default(group: type[Any]) -> None:
    said = {plain(name): default for name, default, _ in rows(sections(PAGE)[group.__name__])}
    assert said == {field.name: str(field.default) for field in dataclasses.fields(group)}


@pytest.mark.parametrize("kind", VALUES)
def test_every_field_of_a_value(kind: type[Any]) -> None:
    text = read(PAGE).split(f"### `{kind.__name__}`")[1].split("\n## ")[0].split("\n### ")[0]
    for field in dataclasses.fields(kind):
        assert field.name in text


@pytest.mark.parametrize("kind", CLASSES)
def test_every_public_member(kind: type[Any]) -> None:
    text = sections(PAGE)[kind.__name__]
    for name in dir(kind):
        if not name.startswith("_") and name not in INNER.get(kind.__name__, set()) | {"bearer"}:
            assert name in text, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("kind", [hubbub.Hub, hubbub.JWTAuth])
def test_every_parameter_and_its_default(kind: type[Any]) -> None:
    said = {plain(row[0]): plain(row[1]) for row in rows(sections(PAGE)[kind.__name__]) if len(row) == 3}
    parameters = inspect.signature(kind).parameters
    assert list(said) == list(parameters)
    for name, parameter in parameters.items():
        if parameter.default not in (None, ()):
            assert said[name] == str(parameter.default).replace("'", '"') or said[name] == f'"{parameter.default}"'


SIGNED: list[tuple[str, Callable[..., Any]]] = [
    *((name, getattr(hubbub.Hub, name)) for name in ("broadcast", "lease", "connect", "serve")),
    *((name, getattr(hubbub.Room, name)) for name in ("send", "history", "close", "remove")),
    ("send", hubbub.EachRoom.send),
    ("send", hubbub.UserHandle.send),
    ("history", hubbub.UserHandle.history),
    ("disconnect", hubbub.UserHandle.disconnect),
    ("sign", hubbub.JWTAuth.sign),
    ("SessionAuth", hubbub.SessionAuth),
    ("Publisher", publisher.Publisher),
    ("send", publisher.Recipients.send),
    ("publishing", publishing),
    ("operations", operations),
]


@pytest.mark.parametrize(("name", "function"), SIGNED, ids=lambda value: value if isinstance(value, str) else "")
def test_signatures(name: str, function: Callable[..., Any]) -> None:
    said: list[str] = []
    starred = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            said.append("*")
            starred = True
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}".replace("'", '"')
        said.append(f"{stars}{parameter.name}{default}")
    assert f"{name}({', '.join(said)})" in read(PAGE)


def test_both_publishers_have_the_same_parameters() -> None:
    assert str(inspect.signature(publisher.AsyncPublisher)) == str(inspect.signature(publisher.Publisher))
