"""A handshake's scope: equal to the server's whenever it is asked for, and small until then."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from hubbub.protocol.handshake import Handshake, Usual


def scope(client: int = 1, **more: Any) -> dict[str, Any]:
    """As a server and a framework make it, each part anew."""
    offered = f"hubbub.v1, bearer.{client}"
    return {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "server": ("127.0.0.1", int("8000")),
        "client": ("127.0.0.1", client),
        "path": "".join(["/", "ws"]),
        "query_string": b"a=%d" % client,
        "headers": [(b"host", b"here"), (b"sec-websocket-protocol", offered.encode()), (b"empty", b"")],
        "subprotocols": offered.split(", "),
        "state": {"pool": "p", "who": client},
        "extensions": {"websocket.http.response": {}},
        "app": APPLICATION,
        "path_params": {},
        **more,
    }


APPLICATION = object()
SCOPES: dict[str, Mapping[str, Any]] = {
    "whole": scope(),
    "nothing": {},
    "no state": {key: value for key, value in scope().items() if key != "state"},
    "no headers": {"path": "/ws", "headers": []},
    "an empty state": scope(state={}),
    "other subprotocols": scope(subprotocols=["hubbub.v1"]),
    "no subprotocols": scope(headers=[], subprotocols=[]),
    "another path": scope(path="/ws/2", path_params={"room": "2"}),
    "another application": scope(app=object()),
    "of the application's": scope(session={"a": 1}, list=[1]),
}


def whole(scope: Mapping[str, Any]) -> dict[str, Any]:
    return {"headers": [], **scope}


@pytest.fixture(params=[False, True], ids=["alone", "with others"])
def usual(request: pytest.FixtureRequest) -> Usual | None:
    return {} if request.param else None


@pytest.mark.parametrize("name", SCOPES)
def test_it_is_equal_however_many_have_it_in_common(name: str, usual: Usual | None) -> None:
    several = [SCOPES[name], *SCOPES.values(), scope(2), SCOPES[name]]
    made = [Handshake(each, usual) for each in several]
    for _ in range(2):
        assert [each.scope() for each in made] == [whole(each) for each in several]


def test_what_belongs_to_a_call_is_left_out(usual: Usual | None) -> None:
    assert Handshake(scope(fastapi_inner_astack=1), usual).scope() == scope()


def test_what_one_puts_there_it_finds_again_and_nobody_else(usual: Usual | None) -> None:
    one, other = Handshake(scope(), usual), Handshake(scope(), usual)
    for key in ("state", "extensions", "path_params", "asgi"):
        used = one.scope()
        used[key]["new"] = 1
        one.keep(used)
        assert one.scope()[key]["new"] == 1
        assert "new" not in other.scope()[key]
        assert "new" not in Handshake(scope(), usual).scope()[key]
    used = one.scope()
    used["more"] = 1
    one.keep(used)
    assert "more" not in one.scope()


def test_whatever_became_of_a_part_is_kept(usual: Usual | None) -> None:
    changes: list[dict[str, Any]] = [{"state": {}}, {"state": {"pool": "q", "who": 1}}]
    for change in [*changes, {"state": {"pool": "p", "what": 1}}, {"asgi": {"version": 4}}]:
        one = Handshake(scope(), usual)
        one.keep(scope() | change)
        if usual is not None:
            assert one.scope() == scope() | change
    one = Handshake(scope(), usual)
    one.keep({"state": None})
    assert one.scope() == scope()


def test_what_nothing_was_put_into_stays_small(usual: Usual | None) -> None:
    one = Handshake(scope(), usual)
    small = one.scope()
    one.keep(small)
    assert one.scope() == small == scope()
    assert (one.scope()["asgi"] is one.scope()["asgi"]) is (usual is None)


def test_objects_are_the_very_same(usual: Usual | None) -> None:
    pool = object()
    for made in [Handshake(scope(state={"pool": pool}, session=pool), usual) for _ in range(3)]:
        said = made.scope()
        assert (said["app"], said["state"]["pool"], said["session"]) == (APPLICATION, pool, pool)


def test_of_many_each_is_small() -> None:
    usual: Usual = {}
    kept = [Handshake(scope(1000), usual)]
    tracemalloc.start()
    try:
        for each in range(100):
            kept.append(Handshake(scope(1000 + each), usual))
            kept[-1].keep(kept[-1].scope())
        assert tracemalloc.get_traced_memory()[0] / 100 < 700
    finally:
        tracemalloc.stop()
