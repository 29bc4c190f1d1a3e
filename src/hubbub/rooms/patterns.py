"""Which rooms exist: patterns like `team:{team_id}`, tried in the order in which they were declared.

A placeholder matches one or more characters except `:`, `/` and controls; `{rest:path}` matches anything but
controls. A parameter is read by its type and printed back: `team:7.0`, `team:+7` and `team:07` are not other names of
`team:7`, because two names of one room would be two rooms with one permission. Where several print as they were read,
one of them is the room's: `7` of the decimals 7 and 7.0, of a moment that in UTC. What no pattern matches does not
exist.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*)(:path)?}")
_SEGMENT = r"[^:/\x00-\x1f\x7f-\x9f]+"
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
_REST = r"[^\x00-\x1f\x7f-\x9f]+"


def placeholders(pattern: str) -> tuple[str, ...]:
    """The names in a pattern, in order. Raises ValueError for a pattern that cannot be meant so."""
    names = tuple(match[1] for match in _PLACEHOLDER.finditer(pattern))
    if not pattern:
        raise ValueError("a room pattern is not empty")
    if len(set(names)) != len(names):
        raise ValueError(f"a placeholder occurs twice in {pattern!r}")
    if "}{" in pattern or pattern.count(":path}") > 1:
        # Also because a name could be split in so many ways that looking for the right one holds the event loop.
        raise ValueError(f"{pattern!r} could read a name in several ways: part the placeholders, with one path at most")
    if set("{}") & set(_PLACEHOLDER.sub("", pattern)):
        raise ValueError(f"a brace without a placeholder in {pattern!r}: write {{name}} or {{name:path}}")
    return names


def shape(pattern: str) -> str:
    """The pattern whatever its placeholders are called: what is equal matches the same names, but for types."""
    return _PLACEHOLDER.sub(r"{\2}", pattern)


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """A room name that exists: what was declared for it, and its parameters as they stand in the name."""

    value: T
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Pattern(Generic[T]):
    source: str
    regex: re.Pattern[str]
    types: Mapping[str, TypeAdapter[Any]]
    value: T

    def match(self, name: str) -> Match[T] | None:
        found = self.regex.fullmatch(name)
        if found is None:
            return None
        params = found.groupdict()
        for parameter, adapter in self.types.items():
            try:
                value = adapter.validate_python(params[parameter])
                printed = adapter.dump_python(value, mode="json")
            except ValidationError:
                return None
            if not _is_the_one(value, str(printed), params[parameter]):
                return None
        return Match(self.value, params)


def _is_the_one(value: Any, printed: str, text: str) -> bool:
    """Whether of all texts that mean this value it is the one that names the room."""
    if isinstance(value, Decimal):
        return _DECIMAL.fullmatch(text) is not None and text != "-0"  # prints as it was read: 7, 7.0 and 70e-1
    if isinstance(value, float) and value == 0:
        return text == "0.0"  # and -0.0
    if isinstance(value, datetime | time) and value.utcoffset():
        return False  # the same moment by another clock
    return printed == text


@dataclass(slots=True)
class Patterns(Generic[T]):
    """Declared patterns; the first that matches wins."""

    _patterns: list[_Pattern[T]] = field(default_factory=list)
    version: int = 0
    """Changes with every declaration: as long as it is the same, so is every answer given here."""

    def __iter__(self) -> Iterator[tuple[str, T]]:
        """Each pattern as it was declared, and what for, in order."""
        return ((pattern.source, pattern.value) for pattern in self._patterns)

    def declare(self, pattern: str, value: T, types: Mapping[str, Any]) -> None:
        """`types` are the annotations of the placeholders; one without is a str. Raises ValueError."""
        names = placeholders(pattern)
        regex = ""
        end = 0
        for found in _PLACEHOLDER.finditer(pattern):
            regex += re.escape(pattern[end : found.start()])
            regex += f"(?P<{found[1]}>{_REST if found[2] else _SEGMENT})"
            end = found.end()
        regex += re.escape(pattern[end:])
        adapters = {name: TypeAdapter(types[name]) for name in names if types.get(name, str) is not str}
        self.version += 1
        self._patterns.append(_Pattern(pattern, re.compile(regex), adapters, value))

    def match(self, name: str) -> Match[T] | None:
        """What was declared for this room, None where there is no such room."""
        for pattern in self._patterns:
            found = pattern.match(name)
            if found is not None:
                return found
        return None
