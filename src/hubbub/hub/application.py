"""Which application a worker is of: two that meet at a broker by accident, both with the default name, are told so.

Nothing says it for sure that is the same on every worker and in the next release: paths and modules are not, and many
are called `main`. What an application declares changes a little from release to release, and two have hardly a word of
it in common. So they are one where their titles are equal, or half of what the smaller one declares is in the other;
and where one of them declares nothing nobody can tell. A doubt is no warning.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from hubbub.errors import Unavailable
from hubbub.hub.declarations import Declarations
from hubbub.ports.broker import Broker
from hubbub.ports.logs import Event, fields
from hubbub.rooms.patterns import shape
from hubbub.types import NodeId

_log = logging.getLogger("hubbub.cluster")

#: FastAPI's own, of whoever gave none.
_UNTITLED = ("", "FastAPI")
#: So many marks of words are told: of more the smallest, which are the same choice everywhere.
_MARKS = 32
_NAMED = 60
_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Application:
    """`title`: FastAPI's, "" where none was given. `called`: in a warning. `marks`: of what it declares."""

    title: str
    called: str
    marks: frozenset[str]

    @classmethod
    def of(cls, title: str, declarations: Declarations) -> "Application":
        rooms = [f"room {shape(pattern)}" for pattern, _ in declarations.declared]
        words = sorted({*rooms, *(f"message {type}" for type in declarations.handlers)})
        title = "" if title in _UNTITLED else title
        called = repr(title) if title else f"one that declares {', '.join(words[:3]) or 'nothing'}"
        return cls(title, called[:_NAMED], frozenset(sorted(map(_mark, words))[:_MARKS]))

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Application":
        """From what another worker reports."""
        return cls(str(said["title"]), str(said["called"]), frozenset(said["marks"]))

    def said(self) -> dict[str, Any]:
        return {"title": self.title, "called": self.called, "marks": sorted(self.marks)}

    def is_another(self, other: "Application") -> bool:
        """Whether it is known to be another one."""
        if not self.marks or not other.marks or (self.title and self.title == other.title):
            return False
        return 2 * len(self.marks & other.marks) < min(len(self.marks), len(other.marks))


async def warn_of_others(broker: Broker, node: NodeId, mine: Application) -> None:
    """Look once at who is there, as soon as the broker is, and say who has got in with whom."""
    while True:
        with suppress(Unavailable):
            others = _others(await broker.reports(), node)
            break
        await asyncio.sleep(_AGAIN)
    for called in sorted({other.called for other in others if mine.is_another(other)}):
        _log.warning(
            "two applications share this broker and the default name of a hub, so they share rooms, users and what is "
            "kept: %s and %s. Give each a name of its own, Hub(name=…); or both the same, where they are to meet",
            mine.called,
            called,
            extra=fields(Event.APPLICATIONS_SHARE),
        )


def _others(reports: Mapping[str, bytes], node: NodeId) -> Iterable[Application]:
    said = (json.loads(report).get("application") for name, report in reports.items() if name != node)
    # One of another release does not say, nor does one whose name was chosen.
    return [Application.read(each) for each in said if each]


def _mark(word: str) -> str:
    return blake2b(word.encode(), digest_size=4).hexdigest()
