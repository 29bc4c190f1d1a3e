"""The accelerator, for tests that run with it and without."""

from types import ModuleType

import pytest


def c() -> ModuleType:
    """Where it was not built the test is skipped, which in CI is a failure."""
    module: ModuleType = pytest.importorskip(
        "hubbub._accelerator", reason="the accelerator was not built: is there a C compiler?"
    )
    return module
