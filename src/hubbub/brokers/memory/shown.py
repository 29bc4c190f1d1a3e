"""What holders show of members, by topic, and what is seen of each: what was said last. Pure."""

from hubbub.types import Topic


class ShownTable:
    def __init__(self) -> None:
        self._topics: dict[Topic, dict[str, dict[str, tuple[int, bytes]]]] = {}
        self._last = 0

    def seen(self, topic: Topic, member: str) -> bytes:
        """Empty where nothing is."""
        _, data = max(self._topics.get(topic, {}).get(member, {}).values(), default=(0, b""), key=_place)
        return data

    def show(self, topic: Topic, member: str, holder: str, data: bytes, at: int | None, now: float) -> int:
        """Returns its place. A new one is by the clock: newer than what is said again after all was forgotten."""
        place = max(self._last + 1, round(now * 1000)) if at is None else at
        self._last = max(self._last, place)
        self.hide(topic, member, holder)
        if data:
            self._topics.setdefault(topic, {}).setdefault(member, {})[holder] = (place, data)
        return place

    def hide(self, topic: Topic, member: str, holder: str) -> None:
        members = self._topics.get(topic, {})
        shown = members.get(member, {})
        if shown.pop(holder, None) is None:
            return
        if not shown:
            del members[member]
        if not members:
            del self._topics[topic]


def _place(entry: tuple[int, bytes]) -> int:
    return entry[0]
