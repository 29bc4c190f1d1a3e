"""The rooms of the architecture page, as contracts in `pyproject.toml`: they hold, and each of them refuses.

Every contract is shown a copy of the package into which one forbidden import was planted.
"""

import ast
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/hubbub"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NO_INPUT_OR_OUTPUT = ["asyncio", "time", "logging", "random", "starlette", "fastapi", "uvicorn", "redis"]

#: A module of each room, which an import is planted into or leads to.
MODULES = {
    "cli": "cli/main",
    "showcase": "showcase/app",
    "testing": "testing/clock",
    "loadtest": "loadtest/frames",
    "sizing": "sizing/plan",
    "client": "client/publisher",
    "integrations": "integrations/operations",
    "hub": "hub/cluster",
    "auth": "auth/origin",
    "brokers": "brokers/memory/store",
    "tracing": "tracing/provider",
    "transports": "transports/timeouts",
    "connection": "connection/connection",
    "handlers": "handlers/dispatch",
    "rooms": "rooms/membership",
    "history": "history/positions",
    "presence": "presence/tracker",
    "delivery": "delivery/fanout",
    "scheduling": "scheduling/serial",
    "ports": "ports/broker",
    "protocol": "protocol/session",
    "types": "types",
    "errors": "errors",
    "closes": "closes",
    "options": "options",
}


def contract(id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = next(each for each in CONTRACTS if each["id"] == id)
    return found


LAYERS = [layer.replace(" : ", " | ").split(" | ") for layer in contract("rooms")["layers"]]
PURE = [module.removeprefix("hubbub.") for module in contract("pure")["source_modules"]]


def lint(root: Path, *contracts: str) -> tuple[int, str]:
    """The exit code, and what was said in words separated by one space."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    for id in contracts:
        command += ["--contract", id]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout that may be spoilt. `lint-imports` looks for the package where it is started first."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(SOURCE, tmp_path / "hubbub", ignore=shutil.ignore_patterns("__pycache__", "static"))
    return tmp_path


def spoil(copy: Path, module: str, line: str) -> None:
    file = copy / "hubbub" / f"{module}.py"
    file.write_text(f"{file.read_text() if file.exists() else ''}\n{line}\n")


def name(module: str) -> str:
    return "hubbub." + module.removesuffix("/__init__").replace("/", ".")


def planted(id: str, into: str, of: str) -> tuple[str, str, str, str]:
    return id, into, f"import {name(of)}", f"{name(into)} -> {name(of)}"


def upwards() -> list[tuple[str, str, str, str]]:
    """From every room into every room of the layer above it: what is forbidden between neighbours."""
    return [
        planted("rooms", MODULES[lower], MODULES[upper])
        for above, below in pairwise(LAYERS[1:])
        for upper in above
        for lower in below
    ]


def beside() -> list[tuple[str, str, str, str]]:
    """Between rooms of one layer that do not know each other, both ways."""
    return [
        planted("rooms", MODULES[one], MODULES[other])
        for layer in contract("rooms")["layers"]
        if " | " in layer
        for one in layer.split(" | ")
        for other in layer.split(" | ")
        if one != other
    ]


WRONG = [
    *upwards(),
    *beside(),
    # Inside what was once one layer, in which everybody could import everybody.
    planted("rooms", "delivery/fanout", "rooms/membership"),
    planted("rooms", "rooms/publish_queue", "connection/connection"),
    planted("rooms", "delivery/batch", "connection/outbound"),
    planted("rooms", "history/page", "rooms/publishing"),
    planted("rooms", "presence/tracker", "rooms/room"),
    planted("rooms", "scheduling/single_flight", "rooms/subscriptions"),
    planted("rooms", "rooms/membership", "handlers/table"),
    planted("rooms", "handlers/dispatch", "connection/context"),
    # Inside a function and for the type checker it is still an import.
    (
        "rooms",
        "protocol/codec",
        "def late():\n    import hubbub.ports.auth",
        "hubbub.protocol.codec -> hubbub.ports.auth",
    ),
    (
        "rooms",
        "protocol/codec",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hubbub.ports.auth",
        "hubbub.protocol.codec -> hubbub.ports.auth",
    ),
    # A module nobody gave a room.
    ("rooms", "helpers", "", "The following modules are not listed as layers: - hubbub.helpers"),
    *(
        ("pure", module, f"import {forbidden}", f"{name(module)} -> {forbidden}")
        for module, forbidden in zip(
            [
                "types",
                "options",
                "protocol/codec",
                "protocol/new",
                "delivery/outbox",
                "rooms/patterns",
                "history/window",
                "presence/changes",
            ],
            NO_INPUT_OR_OUTPUT,
            strict=True,
        )
    ),
    ("pure", "delivery/registry", "import hubbub.presence.tracker", "hubbub.presence.tracker -> "),  # by way of others
    *(
        planted("adapters", into, of)
        for into in ("connection/connection", "rooms/room", "delivery/batch", "handlers/dispatch")
        for of in ("auth/origin", "brokers/memory/broker", "transports/direct", "handlers/fastapi")
    ),
    planted("adapters", "transports/asgi", "handlers/fastapi"),
    planted("client", "client/__init__", "hub/hub"),
    planted("client", "loadtest/new", "hub/endpoint"),
    ("tracer", "rooms/publishing", "from opentelemetry import trace", "hubbub.rooms.publishing -> opentelemetry ("),
    ("tracer", "hub/runtime", "import opentelemetry.trace", "hubbub.hub.runtime -> opentelemetry ("),
    ("face", "rooms/room", "from hubbub import Hub", "hubbub.rooms.room -> hubbub ("),
    ("face", "scheduling/timer_wheel", "import hubbub", "hubbub.scheduling.timer_wheel -> hubbub ("),
]


def test_the_house_stands() -> None:
    code, said = lint(ROOT)
    assert code == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


def test_every_contract_has_a_case_in_which_it_refuses() -> None:
    assert {each["id"] for each in CONTRACTS} == {id for id, *_ in WRONG}


def test_every_room_has_a_module_to_plant_into() -> None:
    assert {room for layer in LAYERS for room in layer} == {*MODULES, "__main__"}
    assert [module for module in MODULES.values() if not (SOURCE / f"{module}.py").exists()] == []


@pytest.mark.parametrize(("id", "module", "line", "told"), WRONG)
def test_one_wrong_import_is_refused(copy: Path, id: str, module: str, line: str, told: str) -> None:
    spoil(copy, module, line)
    code, said = lint(copy, id)
    assert (code, "Contracts: 0 kept, 1 broken." in said) == (1, True), said
    assert told in said


def test_a_copy_nobody_spoilt_stands(copy: Path) -> None:
    code, said = lint(copy)
    assert code == 0, said


def test_a_door_may_use_the_face(copy: Path) -> None:
    for door in ("showcase", "cli", "integrations"):
        spoil(copy, f"{door}/new", "from hubbub import Hub")
    code, said = lint(copy, "face")
    assert code == 0, said


def test_every_module_stands_in_a_room_that_says_what_it_answers() -> None:
    rooms = [room for layer in LAYERS for room in layer if (SOURCE / room).is_dir()]
    for room in rooms:
        said = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text()))
        assert said, room
    flat = {file.stem for file in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    assert flat == {"types", "errors", "closes", "options"}


def test_the_pure_modules_are_the_ones_whose_branches_are_all_covered() -> None:
    covered = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]["source_pkgs"]
    assert covered == contract("pure")["source_modules"]
    assert sorted(contract("pure")["forbidden_modules"]) == sorted(NO_INPUT_OR_OUTPUT)


def test_nothing_is_imported_by_a_name_made_at_run_time_below_the_adapters() -> None:
    """What `lint-imports` cannot see. The accelerator has no source in Python, and is looked for in one place."""
    below = [room for layer in LAYERS[LAYERS.index(["connection"]) :] for room in layer]
    for room in below:
        for file in (SOURCE / room).glob("*.py") if (SOURCE / room).is_dir() else [SOURCE / f"{room}.py"]:
            source = file.read_text()
            if file.match("protocol/fast_path.py"):
                source = source.replace('import_module("hubbub._accelerator")', "None")
            names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
            assert names.isdisjoint({"__import__", "importlib", "import_module", "eval", "exec"}), file
