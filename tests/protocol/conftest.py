from types import ModuleType

import pytest

from tests.protocol.implementations import c


@pytest.fixture(scope="module")
def accelerator() -> ModuleType:
    return c()
