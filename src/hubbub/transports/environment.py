"""What an operator chooses of the transports.

uvicorn makes its protocol classes itself and hands them nothing of ours, so it comes by the environment, which is read
once, where the server loads the class: what cannot be used ends its start.
"""

import math
import os

from hubbub.errors import ConfigurationError


def chosen(name: str, default: float) -> float:
    """`HUBBUB_…`, finite and greater than 0. Raises ConfigurationError."""
    text = os.environ.get(f"HUBBUB_{name}") or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigurationError(f"HUBBUB_{name} is a number greater than 0, not {text!r}")
    return value


def wants_fast() -> bool:
    """Whether a server that was not told which WebSocket class to use gets ours: not where HUBBUB_TRANSPORT is `asgi`.

    Raises ConfigurationError for what is neither `asgi` nor `fast`, the default.
    """
    text = os.environ.get("HUBBUB_TRANSPORT") or "fast"
    if text not in ("fast", "asgi"):
        raise ConfigurationError(f"HUBBUB_TRANSPORT is fast or asgi, not {text!r}")
    return text == "fast"
