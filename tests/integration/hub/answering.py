"""What functions of an application's may wrongly answer, and what the log says then."""

import logging
from typing import Any

import pytest

from hubbub import User

#: What a check may wrongly say, and what the log calls it.
WRONG: dict[str, tuple[Any, str]] = {
    "nothing": (None, "NoneType"),
    "reason": ((False, "secret-reason"), "tuple"),
    "empty": ((), "tuple"),
    "one": (1, "int"),
    "zero": (0, "int"),
    "text": ("secret-no", "str"),
    "dict": ({"allowed": False}, "dict"),
    "user": (User("ann"), "User"),  # type: ignore[arg-type]
}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [each for each in caplog.records if each.name.startswith("hubbub.")]
    return [each.getMessage() for each in ours if each.levelno >= logging.ERROR]
