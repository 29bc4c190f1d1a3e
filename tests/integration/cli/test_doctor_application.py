"""What doctor finds of an application, of its secrets and its flags: each is brought about, and mended."""

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from hubbub.auth.keys import weakness
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.cli.doctor.examine import Asked, examine
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings
from tests.integration.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")

APP = """
from fastapi import FastAPI
from hubbub import Heartbeat, History, Hub, Limits

hub = Hub({hub})
app = FastAPI()
app.include_router(hub.router)

@hub.rooms("a:{{name}}"{room})
async def anybody(name: str) -> bool:
    return True
"""

Found = Callable[..., dict[str, list[Finding]]]
_number = count()


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """What is found of an application with this in `Hub(…)` and `@hub.rooms(…)`."""
    monkeypatch.chdir(tmp_path)

    def look(hub: str = "", room: str = "", *, text: str | None = None, **asked: object) -> dict[str, list[Finding]]:
        settings = {name: asked.pop(name) for name in list(asked) if name in Settings.model_fields}
        module = f"doctored_{next(_number)}"
        (tmp_path / f"{module}.py").write_text(APP.format(hub=hub, room=room) if text is None else text)
        by_name: dict[str, list[Finding]] = {}
        before = dict(os.environ)
        for each in examine(Settings(**settings), Asked(f"{module}:app", **asked)):  # type: ignore[arg-type]
            by_name.setdefault(each.name, []).append(each)
        assert dict(os.environ) == before
        return by_name

    return look


def test_the_application(found: Found) -> None:
    [well] = found(room=", history=History(size=5, ttl=60)")[About.APPLICATION]
    assert well.verdict == "ok"
    assert well.said.endswith(":app: a hub, 1 kinds of rooms, history")
    for text, said in (
        ("import nothing_like_it", "does not import: ModuleNotFoundError"),
        ("import sys; sys.exit(3)", "does not import: SystemExit"),
        ("from fastapi import FastAPI; app = FastAPI()", "has no hub"),
        (APP.format(hub='origins=["app.example"]', room=""), "its scheme is missing, as in 'https://app.example'"),
    ):
        [wrong] = found(text=text)[About.APPLICATION]
        assert wrong.verdict == "wrong"
        assert said in wrong.said


def test_an_application_that_is_made(found: Found) -> None:
    """As uvicorn takes one, also without being told."""
    made = APP.format(hub='origins=["app.example"]', room="") + "\nready = app\n\ndef app():\n    return ready\n"
    by_name = found(text=made)
    assert [each.verdict for each in by_name[About.APPLICATION]] == ["wrong"]
    assert "its scheme is missing" in by_name[About.APPLICATION][0].said
    made = made.replace('["app.example"]', '["https://app.example"]')
    [well] = found(text=made)[About.APPLICATION]
    assert (well.verdict, ": a hub, 1 kinds of rooms" in well.said) == ("ok", True)


def test_what_it_prints_and_quotes_stays_out(hubbub: Command, here: Path) -> None:
    (here / "loud.py").write_text("print('hello')\n" + APP.format(hub="", room=""))
    assert "findings" in json.loads(hubbub("doctor", "loud:app", "--json").stdout)
    (here / "failing.py").write_text("raise ValueError('cannot reach postgres://me:hush@db/shop')")
    made = hubbub("doctor", "failing:app")
    assert "failing:app does not import: ValueError: cannot reach postgres://" in made.stdout
    assert "hush" not in made.stdout + made.stderr


@pytest.mark.parametrize("name", ["main", "main:", ":app"])
def test_a_name_that_is_none(hubbub: Command, name: str) -> None:
    assert f'"{name}" names no application' in hubbub("doctor", name).stdout


def test_it_is_imported_as_a_worker_imports_it(found: Found) -> None:
    """With what stands in `.env`: the hub reads the environment, and no file."""
    Path(".env").write_text("HUBBUB_BROKER=redis://:hush@127.0.0.1:1\n")
    [broker] = found()[About.BROKER]
    assert (broker.verdict, "127.0.0.1:1" in broker.said) == ("wrong", True)
    assert "hush" not in broker.said


@pytest.mark.parametrize(
    ("origins", "said", "do"),
    [
        ([], "it is empty", "list the pages"),
        (["http://app.example"], "a page without TLS", "https://app.example"),
        (["http://localhost:5173"], "whatever runs on a user's own machine", "for development"),
        (["https://app.example:80"], "the other scheme's port", "https://app.example:80, or"),
        (["wss://app.example"], "no browser sends ws or wss", "https://app.example, the page's"),
    ],
)
def test_origins_that_are_seldom_meant(found: Found, origins: list[str], said: str, do: str) -> None:
    [weak] = found(f"origins={origins}")[About.ORIGINS]
    assert (weak.verdict, said in weak.said) == ("weak", True)
    assert weak.do.startswith("origins=: ")
    if "the other scheme" not in said:
        assert do in weak.do


def test_origins_that_are_meant(found: Found) -> None:
    for hub in ("", "origins=['https://app.example', 'https://app.example:8443']", "origins=['null', 'app://-']"):
        assert [each.verdict for each in found(hub)[About.ORIGINS]] == ["ok"]
    assert found("origins=['http://localhost:5173']", dev=True)[About.ORIGINS][0].verdict == "ok"
    packaged = "origins=['capacitor://localhost', 'http://localhost', 'https://localhost']"
    assert found(packaged)[About.ORIGINS][0].verdict == "ok"


def test_history_without_persistence(found: Found) -> None:
    with EmbeddedValkey() as valkey:
        kept = found(room=", history=History(size=5, ttl=60)", broker=valkey.url)
        assert [each.verdict for each in kept[About.BROKER_PERSISTENCE]] == ["weak"]
        assert [each.verdict for each in found(broker=valkey.url)[About.BROKER_PERSISTENCE]] == ["ok"]
        # What the code says wins.
        said = found(f'"{valkey.url}", room=""'.replace(', room=""', ""), broker="redis://127.0.0.1:1")[About.BROKER]
        assert [each.verdict for each in said] == ["ok"]


def test_the_embedded_broker(found: Found) -> None:
    keeps = ", history=History(size=5, ttl=60)"
    assert [each.verdict for each in found(room=keeps, workers=2)[About.BROKER_PERSISTENCE]] == ["weak"]
    assert [each.verdict for each in found(room=keeps, workers=2, data="kept")[About.BROKER_PERSISTENCE]] == ["ok"]
    assert [each.verdict for each in found(workers=2)[About.BROKER_PERSISTENCE]] == ["ok"]
    # Hub("memory") takes no other, whatever hubbub serve starts.
    [wrong] = found('"memory"', workers=2)[About.BROKER]
    assert (wrong.verdict, wrong.said[:6]) == ("wrong", "memory")


@pytest.mark.parametrize(("seconds", "verdict"), [(20, "wrong"), (30, "weak"), (60, "ok")])
def test_the_idle_timeout_against_the_heartbeat(found: Found, seconds: float, verdict: str) -> None:
    assert [each.verdict for each in found(idle_timeout=seconds)[About.IDLE_TIMEOUT]] == [verdict]
    [mended] = found(f"heartbeat=Heartbeat(interval={seconds / 2}, timeout=5)", idle_timeout=seconds)[
        About.IDLE_TIMEOUT
    ]
    assert mended.verdict == "ok"


def test_the_files_of_an_application_with_fewer_connections(found: Found) -> None:
    assert found("limits=Limits(connections=100)")[About.OPEN_FILES][0].said == "enough for 100 connections a worker"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--server", "uvicorn --no-such-flag a:b"),
        ("--server", "uvicorn"),
        ("--server", "nothing known"),
        ("--server", "hubbub serve main:app"),
        ("--server", "a 'b"),
        ("--connections", "0"),
        ("--idle-timeout", "0"),
        ("--path", "/ws"),
        ("--url", "ftp://host"),
        ("--url", "http://127.0.0.1:1", "--path", "ws"),
        ("--token", "hush"),
    ],
)
def test_flags_that_cannot_be_meant(hubbub: Command, arguments: tuple[str, ...]) -> None:
    refused = hubbub("doctor", *arguments)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "hush" not in refused.stderr


GOOD = "4fW9cV0kQ2mX7tZpB1rJ8nLsD3hYeGuA"


@pytest.mark.parametrize(
    ("secret", "verdict"),
    [
        (GOOD, "ok"),
        ("0f8fad5bd9cb469fa16570867728950e", "ok"),
        (GOOD[:31], "wrong"),
        ("a" * 40, "weak"),
        (GOOD[:16] * 2, "weak"),
        ("change-me-please-this-is-a-secret", "weak"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "weak"),
    ],
)
def test_secrets(hubbub: Command, secret: str, verdict: str) -> None:
    made = hubbub("doctor", env={"HUBBUB_SECRET": secret, "HUBBUB_PUBLISH_KEY": secret, "HUBBUB_ADMIN_KEY": secret})
    lines = {line[7:].partition("  ")[0]: line.split()[0] for line in made.stdout.splitlines() if line[0] != " "}
    assert lines["secret"] == verdict
    assert lines["publish key"] == ("ok" if verdict == "ok" else "weak")
    # A short one keeps the application from starting.
    assert lines["admin key"] == verdict
    assert secret not in made.stdout
    assert (weakness(secret) is None) == (verdict == "ok")
