"""What this node's tabs show of their users, by topic and member, the newest last.

A user's tabs may each show something else, and the others see what the newest of them shows: the one that said it last.
Where that one goes, the next newest is seen again, with the place among those of other nodes that the broker gave it
when it was said. A tab that shows nothing has no entry here.
"""

from collections.abc import Hashable
from typing import TypeAlias

from hubbub.types import Topic

Key: TypeAlias = tuple[Topic, str]


class Entry:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data
        """JSON."""
        self.at: int | None = None
        """Its place by the broker's count; None until the broker has heard of it."""


class Showing:
    def __init__(self) -> None:
        self._entries: dict[Key, dict[Hashable, Entry]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def show(self, key: Key, tab: Hashable, data: bytes) -> bool:
        """`tab` shows this from now on, and is the newest. Whether what is to be seen of the member has changed."""
        before = self.newest(key)
        self._entries.get(key, {}).pop(tab, None)
        if data:
            self._entries.setdefault(key, {})[tab] = Entry(data)
        elif not self._entries.get(key, True):
            del self._entries[key]
        return self.newest(key) is not before

    def end(self, key: Key, tab: Hashable) -> bool:
        """`tab` is there no more. Whether that changed what is to be seen."""
        return self.show(key, tab, b"")

    def newest(self, key: Key) -> Entry | None:
        """What is to be seen of the member, None where no tab of this node shows anything."""
        entries = self._entries.get(key)
        return next(reversed(entries.values())) if entries else None

    def place(self, key: Key, entry: Entry, at: int) -> None:
        """The broker has heard of this one; and so, as good as, of those before it that were never told."""
        entries = [*self._entries.get(key, {}).values()]
        for each in entries[: entries.index(entry) + 1] if entry in entries else ():
            if each.at is None or each is entry:
                each.at = at
