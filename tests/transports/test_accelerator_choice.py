"""Which implementation an import chooses, in interpreters of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from sysconfig import get_config_var

import pytest

import hubbub
from tests.kit.running import clean_environment

ASK = """
import json
from hubbub.transports import accelerator as chosen
from hubbub.protocol import codec, frames, fast_path
pairs = [
    (chosen.send_all, chosen.python_send_all),
    (chosen.send_each, chosen.python_send_each),
    (frames.texts, fast_path.python_texts),
    (codec.plain, fast_path.python_plain),
]
[python] = {one is twin for one, twin in pairs}
print(json.dumps([chosen.IMPLEMENTATION, chosen.WHY_NOT_C, python]))
"""


def chosen(*, path: Path | None = None, **variables: str) -> tuple[str, str, bool]:
    environment = clean_environment({**variables, "PYTHONPATH": None if path is None else str(path)})
    asked = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)
    implementation, why_not, python = json.loads(asked.stdout)
    return implementation, why_not, python


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A path with a copy of the package in which nothing was built."""
    [package] = hubbub.__path__
    unwanted = shutil.ignore_patterns("*.so", "*.pyd", "static", "__pycache__")
    shutil.copytree(package, tmp_path / "hubbub", ignore=unwanted)
    return tmp_path


def test_c_where_it_was_built() -> None:
    pytest.importorskip("hubbub._accelerator", reason="the accelerator was not built: is there a C compiler?")
    assert chosen() == ("C", "", False)


def test_python_where_it_was_not(copy: Path) -> None:
    assert chosen(path=copy) == ("Python", "not built", True)


@pytest.mark.skipif(os.name == "nt", reason="it is never built there")
def test_python_where_it_was_built_for_something_else(copy: Path) -> None:
    (copy / "hubbub" / f"_accelerator{get_config_var('EXT_SUFFIX')}").write_bytes(b"no library")
    implementation, why_not, python = chosen(path=copy)
    assert (implementation, python) == ("Python", True)
    assert why_not.startswith("cannot be loaded: ")


def test_python_where_the_environment_says_so() -> None:
    assert chosen(HUBBUB_ACCELERATOR="0") == ("Python", "switched off by HUBBUB_ACCELERATOR=0", True)


@pytest.mark.parametrize("value", ["", "1"])
def test_only_zero_switches_it_off(value: str) -> None:
    assert chosen(HUBBUB_ACCELERATOR=value) == chosen()
