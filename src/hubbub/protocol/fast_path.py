"""What nearly every client sends and gets, the short way: in C where that was built, in Python elsewhere.

Both implementations do the same and have the same tests. They read what is whole and of the usual kind, and leave
everything else, untouched and unjudged, to `frames` and `codec`, which know the rules and say what is wrong. Only in
writing JSON has Python no shorter way than the one everything goes, so there it leaves all.

Here too is where the accelerator is looked for, once for all who use it. `HUBBUB_ACCELERATOR=0` in the environment
chooses Python.
"""

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeAlias

from pydantic_core import from_json

from hubbub.protocol.masking import unmask

SWITCH = "HUBBUB_ACCELERATOR"

Texts: TypeAlias = Callable[[bytes, int, int, list[Any], int], int]
Plain: TypeAlias = Callable[[str], dict[str, Any] | None]
Typed: TypeAlias = Callable[[str], tuple[str, dict[str, Any], Any] | None]
Written: TypeAlias = Callable[[object], bytes | None]
Acknowledged: TypeAlias = Callable[[object, object], bytes | None]

# RFC 6455 section 5.2: a final text frame, and the lengths which say that the length follows.
_WHOLE_TEXT, _MASKED = 0x81, 0x80
_TWO_BYTES, _EIGHT_BYTES = 126, 127

# Integers of any size are read alike below this one.
_EXACT = 2**62


def load() -> tuple[ModuleType | None, str]:
    """The accelerator, or None and why."""
    if os.environ.get(SWITCH) == "0":
        return None, f"switched off by {SWITCH}=0"
    try:
        # By name: the linter of imports sees sources only, and this one has none in Python.
        return import_module("hubbub._accelerator"), ""
    except ModuleNotFoundError:
        return None, "not built"
    except ImportError as error:
        return None, f"cannot be loaded: {error}"


def python_texts(data: bytes, at: int, limit: int, found: list[Any], most: int) -> int:
    """Appends the whole masked text frames that follow one another from `at` on. Returns where something else stands.

    Or where the next one stands, as soon as `found` has `most`. Something else is also a frame that is not whole, is
    longer than `limit` or 65,535 bytes, has a length that could be written shorter, or is not UTF-8. `at` lies in
    `data` or at its end, which is returned where nothing else stands.
    """
    end = len(data)
    last = end - 6  # where the shortest masked frame can begin
    while at <= last and len(found) < most and data[at] == _WHOLE_TEXT:
        size = data[at + 1] - _MASKED
        start = at + 6
        if size == _TWO_BYTES:
            start += 2
            size = data[at + 2] << 8 | data[at + 3]
            if size < _TWO_BYTES:
                break
        elif size == _EIGHT_BYTES:
            break
        stop = start + size
        if stop > end or not 0 <= size <= limit:
            break
        try:
            found.append(unmask(data[start:stop], data[start - 4 : start]).decode())
        except UnicodeDecodeError:
            break
        at = stop
    return at


def python_plain(text: str) -> dict[str, Any] | None:
    """The object where it is a flat one of strings and small numbers without escapes, as nearly all are; else None.

    Read three times as fast by a parser that lets duplicate keys pass. But without escapes every quote is the end of
    a string, so the quotes tell how many keys there were.
    """
    if "\\" in text:
        return None
    try:
        fields = from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError):  # a lone surrogate makes it say that this is no str
        return None
    if type(fields) is not dict:
        return None
    strings = len(fields)
    for value in fields.values():
        kind = type(value)
        if kind is str:
            strings += 1
        elif kind is int:
            if not -_EXACT < value < _EXACT:
                return None
        elif value is not None and kind is not bool:
            return None
    return fields if text.count('"') == 2 * strings else None


def python_typed(text: str) -> tuple[str, dict[str, Any], Any] | None:
    """Its `type`, the object and its `id`, None where it has none, of what `plain` reads and has a string as `type`."""
    fields = python_plain(text)
    named = None if fields is None else fields.get("type")
    return None if fields is None or not isinstance(named, str) else (named, fields, fields.get("id"))


def python_written(_: object) -> bytes | None:
    """The JSON of what consists of dicts, lists, strings without escapes, small numbers and constants; else None.

    What is written is written as by `pydantic_core.to_json`.
    """
    return None


def python_acknowledged(_id: object, _result: object) -> bytes | None:
    """As `written`, of `{"type": "ack", "result": result, "id": id}`."""
    return None


ACCELERATOR, WHY_NOT_C = load()
"""None where Python runs; and why it does, empty where C runs."""

texts: Final[Texts] = python_texts if ACCELERATOR is None else ACCELERATOR.texts
plain: Final[Plain] = python_plain if ACCELERATOR is None else ACCELERATOR.plain
typed: Final[Typed] = python_typed if ACCELERATOR is None else ACCELERATOR.typed
written: Final[Written] = python_written if ACCELERATOR is None else ACCELERATOR.written
acknowledged: Final[Acknowledged] = python_acknowledged if ACCELERATOR is None else ACCELERATOR.acknowledged
