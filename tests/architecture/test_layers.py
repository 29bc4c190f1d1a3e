"""The house of the architecture page, as contracts in `pyproject.toml`: they hold, and each of them can fail."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NO_INPUT_OR_OUTPUT = ["asyncio", "time", "logging", "random", "starlette", "fastapi", "uvicorn", "redis"]
PURE = ["types", "closes", "errors", "options", "protocol/codec", "scheduling/timer_wheel", "protocol/session"]


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


WRONG = [
    ("floors", "types", "import hubbub.protocol.codec", "hubbub.types -> hubbub.protocol.codec"),
    ("floors", "protocol/codec", "import hubbub.ports.auth", "hubbub.protocol.codec -> hubbub.ports.auth"),
    ("sans-io", "types", "import asyncio", "hubbub.types -> asyncio"),
    ("client", "client/__init__", "import hubbub.hub", "hubbub.client -> hubbub.hub"),
    ("face", "ports/auth", "from hubbub import Hub", "hubbub.ports.auth -> hubbub ("),
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
