"""What was revoked, for as long as it is to be remembered."""

from itertools import islice

from hubbub.ports.broker import REVOCATIONS_KEPT, Remembered


class RevocationLog:
    """Times are Unix seconds."""

    def __init__(self, *, most: int = REVOCATIONS_KEPT) -> None:
        self._most = most
        self._newest = 0
        # In the order of their numbers.
        self._kept: dict[bytes, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def revoke(self, word: bytes, until: float, now: float) -> bool:
        """Whether there was room for it."""
        self._kept = {other: (number, ends) for other, (number, ends) in self._kept.items() if ends > now}
        if self._kept.pop(word, None) is None and len(self._kept) >= self._most:
            return False
        # By the clock, so that none is given again by a store that forgot.
        self._newest = max(self._newest + 1, round(now * 1_000_000))
        self._kept[word] = self._newest, until
        return True

    def read(self, since: int, limit: int) -> list[Remembered]:
        found = (Remembered(number, word) for word, (number, _) in self._kept.items() if number > since)
        return list(islice(found, limit))
