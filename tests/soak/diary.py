"""What one client did and was told, with the time of each line: a ledger that can say what led to a violation.

What is wrong is for `hubbub.testing.checks` to say. Here is also what they excuse: whatever a client was told it does
not get. An excuse without a reason is a loss too.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hubbub.testing import Ledger, Violation
from hubbub.testing.ledger import Gap, Got


class Notice(NamedTuple):
    """A user came into a room or went; `at` is of `time.monotonic`."""

    at: float
    came: bool
    room: str
    user: str


class Diary(Ledger):
    """`began` is what its times count from, by `time.monotonic`."""

    def __init__(self, client: str, began: float) -> None:
        super().__init__(client)
        self.entries: list[tuple[float, str, Mapping[str, Any]]] = []
        self.notices: list[Notice] = []
        """Who came and went."""
        self._began = began

    def tried(self, door: str) -> None:
        """To connect to it."""
        self._write("tried", {"door": door})

    def sent(self, message: Mapping[str, Any]) -> None:
        self._write("sent", message)
        super().sent(message)

    def received(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in {"user_joined_room", "user_left_room"}:
            came = kind == "user_joined_room"
            self.notices.append(Notice(time.monotonic(), came, message["room"], message["user"]))
        if kind != "ping":
            self._write("received", message)
        super().received(message)

    def closed(self, code: int) -> None:
        self._write("closed", {"code": code})
        super().closed(code)

    def about(self, violation: Violation) -> str:
        """What led to it: the entries of the room before the first message beyond the offset it speaks of."""
        near = [entry for entry in self.entries if entry[2].get("room", violation.room) == violation.room]
        spoken = re.search(r"(?<![\w-])\d+\b", violation.what)
        beyond = int(spoken[0]) if spoken else 0
        at = next((i for i, (_, _, said) in enumerate(near) if said.get("offset", -1) > beyond > 0), len(near))
        return "\n".join(
            f"    {when:9.3f} {what:9} {_short(said)}" for when, what, said in near[max(0, at - 10) : at + 3]
        )

    def _write(self, what: str, message: Mapping[str, Any]) -> None:
        self.entries.append((time.monotonic() - self._began, what, message))


def _short(message: Mapping[str, Any]) -> str:
    return str({name: value for name, value in message.items() if name not in ("members", "padding")})


@dataclass
class Excuse:
    """`client` was told that it does not get `missed` messages of `room`; None: another epoch, nobody knows."""

    client: str
    room: str
    missed: int | None
    what: str

    def __str__(self) -> str:
        return f"{self.client} in {self.room}: {self.what}"


def excuses(ledgers: Iterable[Ledger]) -> Iterator[Excuse]:
    for ledger in ledgers:
        for room, stints in ledger.stints.items():
            for stint in stints:
                epoch, since = stint.epoch, stint.since
                if stint.recovered is False and since is not None and stint.top is not None:
                    same = since.epoch in (None, epoch)
                    yield Excuse(ledger.client, room, stint.top - since.offset if same else None, str(stint))
                for line in stint.lines:
                    if isinstance(line, Gap):
                        missed = line.upto - line.after if line.epoch == epoch else None
                        epoch = line.epoch
                        yield Excuse(ledger.client, room, missed, str(line))


def epochs(ledgers: Iterable[Ledger], room: str) -> set[str]:
    """All that anybody was told of."""
    stints = [stint for ledger in ledgers for stint in ledger.stints.get(room, ())]
    told = {line.epoch for stint in stints for line in stint.lines if isinstance(line, Gap)}
    return told | {stint.epoch for stint in stints if stint.epoch is not None}


def received(ledgers: Iterable[Ledger]) -> int:
    """How many messages all of them got."""
    stints = [stint for ledger in ledgers for each in ledger.stints.values() for stint in each]
    return sum(isinstance(line, Got) for stint in stints for line in stint.lines)
