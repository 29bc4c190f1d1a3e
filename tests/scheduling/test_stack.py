"""What a thread's frames tell: whose function it is, and where in it."""

import asyncio
import inspect
import threading
from pathlib import Path
from types import FrameType

import pytest

from hubbub.scheduling.stack import Level, Place, common, depth_of, is_debugged, packages_of, place_of, read, shown


def level(name: str, module: str = "app.db", file: str = "/srv/app/db.py", line: int = 1) -> Level:
    code = compile("0", file, "exec").replace(co_name=name, co_qualname=name)
    return Level(code, module, line)


ROUTE = level("endpoint", "fastapi.routing", "/v/lib/python3.11/site-packages/fastapi/routing.py")
OWN = level("load_user", line=42)
GET = level("get", "requests.api", "/v/lib/python3.11/site-packages/requests/api.py", 59)
READ = level("SocketIO.readinto", "socket", "/usr/lib/python3.11/socket.py", 706)


def test_the_applications_innermost_function_and_what_it_had_called() -> None:
    place = place_of([ROUTE, OWN, GET, READ])
    assert str(place) == "app.db.load_user (/srv/app/db.py:42), in requests.api.get at socket.SocketIO.readinto"
    assert str(place_of([ROUTE, OWN, GET])) == "app.db.load_user (/srv/app/db.py:42), in requests.api.get"
    assert str(place_of([ROUTE, OWN])) == "app.db.load_user (/srv/app/db.py:42)"


def test_where_none_is_the_applications_own() -> None:
    assert place_of([ROUTE, GET, READ]).function == "socket.SocketIO.readinto"
    assert place_of([ROUTE]) == Place("fastapi.routing.endpoint", "fastapi/routing.py", 1)
    assert str(Place("builtin", "", 0)) == "builtin"


def test_an_application_that_is_installed() -> None:
    installed = level("load", "shop.db", "/v/lib/python3.11/site-packages/shop/db.py", 7)
    assert place_of([ROUTE, installed, GET]).function == "requests.api.get"
    assert place_of([ROUTE, installed, GET], {"shop"}) == Place("shop.db.load", "shop/db.py", 7, "requests.api.get")


@pytest.mark.parametrize(
    ("module", "file", "own"),
    [
        ("__main__", "/srv/app.py", True),
        ("hubbub.showcase.chat", "/v/site-packages/hubbub/showcase/chat.py", True),
        ("hubbub.rooms.room", "/srv/shop/hubbub/rooms/room.py", False),
        ("importlib._bootstrap", "<frozen importlib._bootstrap>", False),
        ("zipimport_hooks", "<frozen zipimport_hooks>", False),
        ("app.models", "<string>", False),
        ("json.decoder", "/usr/lib/python3.11/json/decoder.py", False),
    ],
)
def test_whose_a_function_is(module: str, file: str, own: bool) -> None:
    odd = level("odd", module, file)
    assert (place_of([OWN, odd]).function == odd.name) is own


def test_a_file_is_said_from_where_the_process_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert level("f", file=f"{tmp_path}/app/db.py").file == "app/db.py"


def test_how_far_two_looks_are_in_the_same_functions() -> None:
    later = OWN._replace(line=43)
    assert common([ROUTE, OWN, GET], [ROUTE, later, READ]) == [ROUTE, later]
    assert common([ROUTE], [OWN]) == []
    assert common([], [OWN]) == []


def test_who_looks_at_it() -> None:
    assert is_debugged([OWN, level("interaction", "pdb")])
    assert not is_debugged([OWN, GET])


def test_the_innermost_of_many() -> None:
    assert shown([ROUTE, OWN, GET], most=2) == [
        "/srv/app/db.py:42 app.db.load_user",
        "requests/api.py:59 requests.api.get",
    ]


def test_the_packages_of_an_application() -> None:
    assert packages_of(["shop.hub", "__main__", "asyncio.events", "uvicorn.main", "hubbub.showcase.app"]) == {"shop"}


def test_what_runs_the_loop_is_left_out() -> None:
    found: list[tuple[FrameType, int, object]] = []

    def below() -> None:
        frame = inspect.currentframe()
        assert frame is not None
        found.append((frame, *depth_of(frame)))

    async def main() -> None:
        asyncio.get_running_loop().call_soon(below)
        await asyncio.sleep(0)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()
    ((frame, depth, root),) = found
    whole = read(frame)
    assert len(whole) == depth
    assert whole[0].code is root
    assert [each.name.rpartition(".")[2] for each in read(frame, depth=depth - 1, root=whole[0].code)] == ["below"]
    assert read(frame, depth=depth - 1, root=OWN.code) == whole
    assert read(None) == []
