"""What became of a room's users since its members were told last.

Who came and went again, or went and came back, is no news to those who knew before: the net change leaves them out. It
is news to one whose list of members was read in between, so the end of it is there for all who changed at all, too.
Saying only the end, to everybody, lost: a page that is reloaded would be told as somebody who joined.
"""

from typing import NamedTuple


class Diff(NamedTuple):
    """Users, sorted."""

    joined: list[str]
    left: list[str]


class Changes:
    def __init__(self) -> None:
        self._users: dict[str, tuple[bool, bool]] = {}
        """Whether each was there before the first change, and is there after the last."""

    def __len__(self) -> int:
        return len(self._users)

    def note(self, user: str, *, here: bool) -> None:
        """The user is there now, and was not; or the other way round."""
        before, _ = self._users.get(user, (not here, here))
        self._users[user] = before, here

    def pop(self, limit: int) -> tuple[Diff, Diff]:
        """Of at most `limit` users, those that changed first: the net change, and where each of them is now."""
        taken = {user: self._users.pop(user) for user in tuple(self._users)[:limit]}
        net = {user: here for user, (before, here) in taken.items() if here is not before}
        return _diff(net), _diff({user: here for user, (_, here) in taken.items()})


def _diff(users: dict[str, bool]) -> Diff:
    return Diff(
        sorted(user for user, here in users.items() if here), sorted(user for user, here in users.items() if not here)
    )
