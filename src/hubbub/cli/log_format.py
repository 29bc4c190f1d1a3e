"""Log lines as JSON, one object a line, for whatever collects them: `hubbub serve --log-format json`.

Of every logger, uvicorn's too and those that nobody has set up: `time` (ISO 8601, UTC), `level`, `logger`, `message`,
the record's own attributes by their names, and `exception` where there is one. What JSON cannot say is said by `str`,
and what cannot be said at all by its type: a line that is not written, or that nobody can read, is mostly the one that
was needed.
"""

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    def __init__(self, *arguments: object, **options: object) -> None:
        """Whatever uvicorn's formatters are given is not asked for."""
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: value for name, value in vars(record).items() if name not in _USUAL and name not in said}
        # Where a filter has redacted a traceback, it is the text that is clean.
        if record.exc_text:
            said["exception"] = record.exc_text
        elif record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            said["stack_info"] = self.formatStack(record.stack_info)
        try:
            return json.dumps(said, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - of the application's own, and any of them may be the one
            return json.dumps({name: _sayable(value) for name, value in said.items()})


def of_all(*arguments: object, **options: object) -> JsonFormatter:
    """The formatter, where logging is set up by it: for what no handler takes as well, as of asyncio and libraries.

    Python writes that itself, from WARNING on. A handler of the root would keep an application's `basicConfig` from
    doing anything.
    """
    formatter = JsonFormatter()
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(formatter)
    return formatter


def _sayable(value: object) -> Any:
    """What JSON has for it: of a number that is none, a key that is no name, or what has itself in it, a text."""
    with suppress(Exception):
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    with suppress(Exception):
        return str(value)
    return f"<{type(value).__name__}>"
