"""How the tool knows its own messages again: a tag of fixed length that says who sent it, and its number.

The run's mark is drawn at chance, so that what another run left in a room's history is not taken for ours.
"""

import random
import secrets
import string

_MARK_BYTES = 6
PUBLISHER_DIGITS = 6
NUMBER_DIGITS = 9

#: Bytes of a tag, and so the smallest content.
TAG_SIZE = _MARK_BYTES + PUBLISHER_DIGITS + NUMBER_DIGITS

_ALPHABET = string.ascii_letters + string.digits


class Tags:
    """Those of one run."""

    def __init__(self) -> None:
        self.mark = b"hb" + secrets.token_hex((_MARK_BYTES - 2) // 2).encode()

    def tag(self, publisher: int, number: int) -> bytes:
        return b"%b%06d%09d" % (self.mark, publisher, number)

    def find(self, payload: bytes) -> tuple[int, int] | None:
        """Publisher and number of the first tag in it."""
        start = payload.find(self.mark)
        while start >= 0:
            digits = payload[start + _MARK_BYTES : start + TAG_SIZE]
            if len(digits) == PUBLISHER_DIGITS + NUMBER_DIGITS and digits.isdigit():
                return int(digits[:PUBLISHER_DIGITS]), int(digits[PUBLISHER_DIGITS:])
            start = payload.find(self.mark, start + 1)
        return None


def padding(size: int, chance: random.Random) -> str:
    """Letters and digits, as hard to compress as such text is."""
    return "".join(chance.choices(_ALPHABET, k=size))
