"""The house of the architecture page, as contracts in `pyproject.toml`: they hold, and each of them can fail."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NO_INPUT_OR_OUTPUT = ["asyncio", "time", "logging", "random", "starlette", "fastapi", "uvicorn", "redis"]
PURE = ["types", "closes", "errors", "options", "protocol/codec", "state/timers", "protocol/session"]


def lint(root: Path, *contracts: str) -> tuple[int, str]:
    """The exit code, and what was said in words separated by one space."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    for contract in contracts:
        command += ["--contract", contract]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout that may be spoilt. `lint-imports` looks for the package where it is started first."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src/hubbub", tmp_path / "hubbub", ignore=shutil.ignore_patterns("__pycache__", "static"))
    return tmp_path


def spoil(copy: Path, module: str, line: str) -> None:
    file = copy / "hubbub" / f"{module}.py"
    file.write_text(f"{file.read_text() if file.exists() else ''}\n{line}\n")


def test_the_house_stands() -> None:
    code, said = lint(ROOT)
    assert code == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


def test_every_contract_has_a_case_in_which_it_fails() -> None:
    assert {contract["id"] for contract in CONTRACTS} == {contract for contract, *_ in WRONG}


WRONG = [
    # Imports that go up, floor by floor.
    ("floors", "types", "import hubbub.protocol.codec", "hubbub.types -> hubbub.protocol.codec"),
    ("floors", "protocol/codec", "from hubbub.state import timers", "hubbub.protocol.codec -> hubbub.state.timers"),
    ("floors", "state/timers", "import hubbub.ports.clock", "hubbub.state.timers -> hubbub.ports.clock"),
    ("floors", "protocol/session", "from hubbub.ports import broker", "hubbub.protocol.session -> hubbub.ports.broker"),
    ("floors", "ports/broker", "import hubbub.room", "hubbub.ports.broker -> hubbub.room"),
    ("floors", "room", "import hubbub.brokers.memory", "hubbub.room -> hubbub.brokers.memory"),
    ("floors", "brokers/memory", "import hubbub.cluster", "hubbub.brokers.memory -> hubbub.cluster"),
    ("floors", "cluster", "import hubbub.running", "hubbub.cluster -> hubbub.running"),
    ("floors", "running", "import hubbub.hub", "hubbub.running -> hubbub.hub"),
    ("floors", "hub", "import hubbub.client", "hubbub.hub -> hubbub.client"),
    ("floors", "client/__init__", "import hubbub.cli.main", "hubbub.client -> hubbub.cli.main"),
    # Neighbours that must not know each other.
    ("floors", "brokers/memory", "import hubbub.auth", "hubbub.brokers.memory -> hubbub.auth"),
    ("floors", "endpoint", "import hubbub.cluster", "hubbub.endpoint -> hubbub.cluster"),
    ("floors", "client/__init__", "import hubbub.integrations", "hubbub.client -> hubbub.integrations"),
    # Inside a function and for the type checker it is still an import.
    (
        "floors",
        "protocol/codec",
        "def late():\n    import hubbub.ports.auth",
        "hubbub.protocol.codec -> hubbub.ports.auth",
    ),
    (
        "floors",
        "protocol/codec",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hubbub.ports.auth",
        "hubbub.protocol.codec -> hubbub.ports.auth",
    ),
    # A module nobody gave a floor.
    ("floors", "helpers", "", "The following modules are not listed as layers: - hubbub.helpers"),
    *(
        ("sans-io", module, f"import {name}", f"hubbub.{module.replace('/', '.')} -> {name}")
        for module, name in zip([*PURE, "state/new"], NO_INPUT_OR_OUTPUT, strict=True)
    ),
    ("sans-io", "state/limits", "import hubbub.ports.clock\nimport hubbub.hub", "hubbub.hub -> "),  # by way of others
    ("state", "state/outbox", "from hubbub.state.registry import Registry", "hubbub.state.outbox -> hubbub.state."),
    ("state", "state/new", "import hubbub.state.backoff", "hubbub.state.new -> hubbub.state.backoff"),
    *(
        ("actors", "connection", f"import hubbub.{adapter}", f"hubbub.connection -> hubbub.{adapter}")
        for adapter in ("auth", "brokers", "transports", "injection")
    ),
    ("client", "client/__init__", "import hubbub.hub", "hubbub.client -> hubbub.hub"),
    ("client", "client/new", "import hubbub.endpoint", "hubbub.client.new -> hubbub.endpoint"),
    ("face", "room", "from hubbub import Hub", "hubbub.room -> hubbub ("),
    ("face", "state/timers", "import hubbub", "hubbub.state.timers -> hubbub ("),
]


@pytest.mark.parametrize(("contract", "module", "line", "told"), WRONG)
def test_one_wrong_import_breaks_its_contract(copy: Path, contract: str, module: str, line: str, told: str) -> None:
    spoil(copy, module, line)
    code, said = lint(copy, contract)
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


def test_every_module_of_floors_0_to_3_is_held_to_doing_no_input_or_output() -> None:
    sans_io = next(contract for contract in CONTRACTS if contract["id"] == "sans-io")
    floors = next(contract for contract in CONTRACTS if contract["id"] == "floors")["layers"]
    lowest = floors[floors.index("state") :]
    assert {f"hubbub.{module}" for floor in lowest for module in floor.split(" : ")} == set(sans_io["source_modules"])
    assert sorted(sans_io["forbidden_modules"]) == sorted(NO_INPUT_OR_OUTPUT)


def test_nothing_is_imported_by_a_name_made_at_run_time_below_the_adapters() -> None:
    """What `lint-imports` cannot see. The accelerator has no source in Python, and is looked for in one place."""
    pure = [
        ROOT / "src/hubbub" / name
        for name in ("types.py", "closes.py", "errors.py", "options.py", "protocol/session.py")
    ]
    for folder in ("protocol", "state", "ports"):
        pure += (ROOT / "src/hubbub" / folder).glob("*.py")
    for file in pure:
        source = file.read_text()
        if file.match("protocol/fast_path.py"):
            source = source.replace('import_module("hubbub._accelerator")', "None")
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        assert names.isdisjoint({"__import__", "importlib", "import_module", "eval", "exec"}), file
