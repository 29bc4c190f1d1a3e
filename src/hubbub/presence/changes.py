"""What became of a room's users since its members were told last.

Who came and went again, or went and came back, is no news to those who knew before: the net change leaves them out. It
is news to one whose list of members was read in between, so the end of it is there for all who changed at all, too.
Saying only the end, to everybody, lost: a page that is reloaded would be told as somebody who joined.

What users show is told as it is at the end, beside who joined and left, because only some are told of it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Shown(NamedTuple):
    """What a user shows now, JSON; empty where that is nothing. `anew`: it changed while the user was there."""

    data: bytes
    anew: bool = False


_NOTHING: Mapping[str, Shown] = MappingProxyType({})


class Diff(NamedTuple):
    """Users, sorted, and what some of them show."""

    joined: list[str]
    left: list[str]
    shown: Mapping[str, Shown] = _NOTHING


class Changes:
    def __init__(self) -> None:
        self._users: dict[str, tuple[bool, bool]] = {}
        """Whether each was there before the first change, and is there after the last."""
        self._shown: dict[str, Shown] = {}

    def __len__(self) -> int:
        return len(self._users.keys() | self._shown.keys())

    def note(self, user: str, *, here: bool) -> None:
        """The user is there now, and was not; or the other way round."""
        before, _ = self._users.get(user, (not here, here))
        self._users[user] = before, here
        self._shown.pop(user, None)

    def show(self, user: str, shown: Shown) -> None:
        """It is there, and shows this now."""
        self._shown[user] = shown

    def pop(self, limit: int, size: int) -> tuple[Diff, Diff]:
        """Of at most `limit` users, those that changed first: the net change, and where each of them is now.

        Fewer where they show more than `size` bytes, and one at least.
        """
        users: dict[str, tuple[bool, bool]] = {}
        shown: dict[str, Shown] = {}
        for count, user in enumerate([*self._users, *(user for user in self._shown if user not in self._users)]):
            size -= len(self._shown[user].data) if user in self._shown else 0
            if count == limit or (count and size < 0):
                break
            if user in self._users:
                users[user] = self._users.pop(user)
            if user in self._shown:
                shown[user] = self._shown.pop(user)
        net = {user: here for user, (before, here) in users.items() if here is not before}
        # Whoever is told that somebody came takes it that nothing is shown, unless that is said.
        news = {user: each for user, each in shown.items() if each.data or user not in net}
        return _diff(net, news), _diff({user: here for user, (_, here) in users.items()}, shown)


def _diff(users: dict[str, bool], shown: Mapping[str, Shown]) -> Diff:
    return Diff(
        sorted(user for user, here in users.items() if here),
        sorted(user for user, here in users.items() if not here),
        shown,
    )
