import json
import re
import resource
import socket
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from packaging.requirements import Requirement

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.cli.doctor import broker, installation
from hubbub.cli.doctor.examine import Asked, examine
from hubbub.cli.doctor.finding import About, Finding, as_json, as_lines, healthy
from hubbub.cli.settings import Settings
from hubbub.options import Limits
from hubbub.transports import accelerator
from tests.integration.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody answers: it is taken, and nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def found(asked: Asked | None = None, **settings: object) -> dict[str, Finding]:
    read = Settings.model_validate({**Settings().model_dump(), **settings})
    return {each.name: each for each in examine(read, asked)}


def test_a_healthy_installation(hubbub: Command) -> None:
    made = hubbub("doctor")
    assert (made.returncode, made.stderr) == (0, "")
    table = dict(re.split(" {2,}", line)[1::-1] for line in made.stdout.splitlines() if not line.startswith(" "))
    assert "wrong" not in table.values()
    assert {name: table[name] for name in ("uvicorn", "transport", "event loop", "HTTP parser", "broker")} == {
        "uvicorn": "ok",
        "transport": "ok",
        "event loop": "ok",
        "HTTP parser": "ok",
        "broker": "ok",
    }
    assert "the fast one, hubbub.transports.uvicorn:HubbubProtocol" in made.stdout


def test_the_same_for_programs(hubbub: Command) -> None:
    made = hubbub("doctor", "--json")
    said = json.loads(made.stdout)
    assert said["healthy"] is True
    assert all(set(each) == {"name", "verdict", "said", "do"} for each in said["findings"])
    assert {each["name"] for each in said["findings"]} >= {"hubbub", "accelerator", "websockets", "hiredis"}


def test_which_accelerator_runs_and_why(hubbub: Command) -> None:
    said = found()["accelerator"]
    assert (said.verdict, said.said) == (
        ("ok", "C")
        if accelerator.IMPLEMENTATION == "C"
        else ("weak", f"Python: the one in C is {accelerator.WHY_NOT_C}")
    )
    made = hubbub("doctor", env={"HUBBUB_ACCELERATOR": "0"})
    assert made.returncode == 0
    assert re.search(r"^weak +accelerator +Python: .* switched off by HUBBUB_ACCELERATOR=0$", made.stdout, re.MULTILINE)


@pytest.mark.parametrize("flag", [True, False])
def test_a_broker_that_answers(hubbub: Command, valkey: EmbeddedValkey, flag: bool) -> None:
    arguments, env = (("--broker", valkey.url), {}) if flag else ((), {"HUBBUB_BROKER": valkey.url})
    made = hubbub("doctor", *arguments, env=env)
    assert (made.returncode, made.stderr) == (0, "")
    assert re.search(r"^ok +broker +RedisBroker\(.+\): a message came back in [0-9.]+ ms$", made.stdout, re.MULTILINE)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_broker_that_does_not_answer(hubbub: Command, nobody: int, form: tuple[str, ...]) -> None:
    made = hubbub("doctor", *form, env={"HUBBUB_BROKER": f"redis://me:hush@127.0.0.1:{nobody}/0"})
    assert (made.returncode, made.stderr) == (1, "")
    assert "RedisBroker('127.0.0.1:" in made.stdout
    assert "does not answer: " in made.stdout
    assert "hush" not in made.stdout


def test_a_broker_that_takes_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = found(broker=f"redis://:hush@127.0.0.1:{silent.getsockname()[1]}")["broker"]
    assert said.verdict == "wrong"
    assert "does not answer: " in said.said
    assert "hush" not in said.said


def test_a_broker_that_may_not_publish(valkey: EmbeddedValkey) -> None:
    """It would look sound to whoever only asks for a PING."""
    from redis import Redis

    with Redis.from_url(valkey.url) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">hush", "~*", "&*", "+@all", "-publish")
    joint = "&" if "?" in valkey.url else "?"
    said = found(broker=f"{valkey.url}{joint}username=reader&password=hush")["broker"]
    assert said.verdict == "wrong"
    assert "permissions" in said.said
    assert "hush" not in said.said


@pytest.mark.parametrize("url", ["http://me:hush@host", "redis://me:hush@host:port"])
def test_a_broker_nobody_can_read(hubbub: Command, url: str) -> None:
    made = hubbub("doctor", env={"HUBBUB_BROKER": url})
    assert made.returncode == 1
    assert re.search(r"^wrong +broker +--broker \(HUBBUB_BROKER\): ", made.stdout, re.MULTILINE)
    assert "hush" not in made.stdout + made.stderr


def test_several_workers_and_memory() -> None:
    assert found(workers=1, broker="memory")["broker"].verdict == "ok"
    assert found(workers=2, broker="memory")["broker"].verdict == "wrong"
    assert found(workers=2, broker=None)["broker"].verdict == "ok"
    assert "keeps nothing beyond its end" in found(workers=2, broker=None)["broker"].said


def test_an_embedded_valkey_that_keeps_its_data() -> None:
    said = found(workers=1, broker=None, data="kept")["broker"]
    assert (said.verdict, said.said) == (
        "ok",
        "an embedded Valkey, started by hubbub serve for 1 worker; keeps in kept",
    )
    assert found(workers=1, broker="memory", data="kept")["broker"].verdict == "wrong"


def test_several_workers_and_no_embedded_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "find_spec", lambda name: None)
    said = found(workers=2, broker=None)["broker"]
    assert said.verdict == "wrong"
    assert "hubbub[embedded]" in said.do


def test_a_transport_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hubbub.transports.uvicorn", None)
    said = found()["transport"]
    assert said.verdict == "wrong"
    assert "does not import: ModuleNotFoundError" in said.said


def test_a_uvicorn_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "version", lambda name: "0.51.9")
    assert found()["uvicorn"].verdict == "wrong"
    monkeypatch.setattr(installation, "version", lambda name: "0.100.0rc1")
    assert found()["uvicorn"].verdict == "ok"


def test_the_oldest_uvicorn_is_the_one_we_depend_on() -> None:
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [uvicorn] = [each for each in map(Requirement, needs) if each.name == "uvicorn"]
    assert str(uvicorn.specifier) == f">={installation.OLDEST_UVICORN}"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("uvloop", "event loop"),
        ("httptools", "HTTP parser"),
        ("websockets.speedups", "websockets"),
        ("hiredis", "hiredis"),
    ],
)
def test_what_is_missing_is_weak_and_not_wrong(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
    assert found()[name].verdict == "ok"
    monkeypatch.setitem(sys.modules, module, None)
    said = found()
    assert said[name].verdict == "weak"
    assert healthy(list(said.values()))


@pytest.mark.parametrize(
    ("limits", "verdict", "said", "do"),
    [
        ((4096, 4096), "weak", "4096: room for 3840 connections a worker, where 65536 may come", "LimitNOFILE=65792"),
        ((1024, 1024), "weak", "1024: room for 896 connections a worker", "--connections N"),
        ((1024, 65_792), "ok", "enough for 65536 connections a worker", ""),
        ((1024, resource.RLIM_INFINITY), "ok", "enough for 65536", ""),
    ],
)
def test_open_files(monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], verdict: str, said: str, do: str) -> None:
    """`hubbub serve` takes all that the hard limit gives."""
    assert Limits().connections == 65536
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    finding = found()["open files"]
    assert finding.verdict == verdict
    assert said in finding.said
    assert do in finding.do


def test_open_files_of_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the soft limit, and doctor says how many of those that are expected come to one worker."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1 << 20))
    weak = found(Asked(server="uvicorn a:b --workers 2", connections=3000))["open files"]
    assert (weak.verdict, weak.said) == ("weak", "1024: room for 896 connections a worker, where 1500 may come")
    assert weak.do.startswith("ulimit -n 1715 ")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1715, 1 << 20))
    assert found(Asked(server="uvicorn a:b --workers 2", connections=3000))["open files"].verdict == "ok"


@pytest.mark.parametrize(
    ("settings", "believed", "verdict", "said"),
    [
        ({}, None, "ok", "limited, but for loopback, unix sockets and proxies in private networks that are not named"),
        ({"proxies": "10.0.0.7"}, None, "ok", "limited, also behind 10.0.0.7"),
        ({"proxies": "10.0.0.7"}, "*", "ok", "limited, also behind 10.0.0.7"),
        ({"proxies": "10.0.0.300"}, None, "wrong", "--proxies (HUBBUB_PROXIES): proxies: '10.0.0.300' is neither"),
        ({}, "*", "weak", "not limited: with FORWARDED_ALLOW_IPS=* anybody says who it is"),
        ({"uds": "/run/x"}, None, "weak", "not limited: who comes by a unix socket has none"),
        ({"uds": "/run/x", "proxies": "unix"}, None, "ok", "limited, also behind unix"),
        ({"dev": True}, None, "ok", "not limited in development"),
    ],
)
def test_limits_by_address(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], believed: str | None, verdict: str, said: str
) -> None:
    if believed is None:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    else:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)
    told = found(**settings)["addresses"]
    assert told.verdict == verdict
    assert told.said.startswith(said)


def test_health_and_its_forms() -> None:
    good, weak = Finding(About.HUBBUB, "ok", "x"), Finding(About.UVICORN, "weak", "y", "mend it")
    bad = Finding(About.BROKER, "wrong", "z", "start it")
    assert healthy([good, weak])
    assert not healthy([good, weak, bad])
    assert as_lines([good, weak, bad]).splitlines() == [
        "ok     hubbub   x",
        "weak   uvicorn  y",
        "                > mend it",
        "wrong  broker   z",
        "                > start it",
    ]
    assert json.loads(as_json([bad])) == {
        "healthy": False,
        "findings": [{"name": "broker", "verdict": "wrong", "said": "z", "do": "start it"}],
    }


@pytest.mark.parametrize(("verdict", "do"), [("ok", "something"), ("weak", ""), ("wrong", "")])
def test_what_is_not_well_has_something_to_do(verdict: Literal["ok", "weak", "wrong"], do: str) -> None:
    with pytest.raises(ValueError, match="hubbub"):
        Finding(About.HUBBUB, verdict, "x", do)


def test_a_setting_that_cannot_be_read_is_refused_in_one_line(hubbub: Command) -> None:
    refused = hubbub("doctor", env={"HUBBUB_PORT": "many"})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("HUBBUB_PORT: ")
