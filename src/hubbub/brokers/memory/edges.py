"""Who came as the first and who went as the last: kept until somebody has handled it, and when each user went."""

import itertools
import math
from collections import deque

from hubbub.ports.broker import EDGED, EDGES_KEPT, EDGES_KNOWN, LEFT_KNOWN, Edges, LoggedEdge
from hubbub.types import ONLINE, Topic


class EdgeLog:
    """`now` is the store's clock, `wall` Unix time; both in seconds."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, LoggedEdge]] = deque(maxlen=EDGES_KEPT)
        """Each with which one it is of all that were ever logged."""
        self._logged = self._handled = self._newest = 0
        self._asked_until = -math.inf
        self._left: dict[str, tuple[float, float]] = {}
        """When by both clocks, the oldest first."""

    def note(self, topic: Topic, member: str, edge: bool | None, now: float, wall: float, *, here: bool) -> None:
        """As the port says of `edge`."""
        if topic not in EDGED:
            return
        if topic == ONLINE and not here:
            self._left.pop(member, None)
            self._left[member] = now, wall
            self._forget_who_left(now)
        if edge or (edge is None and now < self._asked_until):
            self._logged += 1
            # By the clock, so that none is given again by a store that forgot.
            self._newest = max(self._newest + 1, round(wall * 1_000_000))
            self._waiting.append((self._logged, LoggedEdge(self._newest, topic, member, here, wall)))

    def read(self, limit: int, now: float) -> Edges:
        self._asked_until = now + EDGES_KNOWN
        first = self._waiting[0][0] if self._waiting else self._logged + 1
        return Edges(first - self._handled - 1, [edge for _, edge in itertools.islice(self._waiting, limit)])

    def handled(self, number: int) -> None:
        while self._waiting and self._waiting[0][1].number <= number:
            self._handled, _ = self._waiting.popleft()

    def last_left(self, member: str, now: float) -> float | None:
        self._forget_who_left(now)
        _, wall = self._left.get(member, (0.0, None))
        return wall

    def _forget_who_left(self, now: float) -> None:
        while self._left:
            first = next(iter(self._left))
            if now - self._left[first][0] <= LEFT_KNOWN:
                return
            del self._left[first]
