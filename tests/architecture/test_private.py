"""Tests ask what is public. Those that look at a private attribute all the same say why, and do not become more."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What runs inside of a hub and a broker, in one place each, and what things cost in memory.
MOST = 13


def test_no_more_private_attributes_are_looked_at() -> None:
    ruff = str(Path(sys.executable).with_name("ruff"))
    command = [ruff, "check", "--isolated", "--ignore-noqa", "--select", "SLF001", "tests"]
    command += ["--output-format", "concise"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = [line for line in said.splitlines() if "SLF001" in line]
    assert len(found) <= MOST, "\n".join(found)
