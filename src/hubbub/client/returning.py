"""When a client comes back after its connection has ended, and whether: the close codes of the protocol.

As `showcase/static/backoff.js` does it in a browser. A code that is not in the table comes back with backoff: it is a
net's, a proxy's, or that of a server that is newer.
"""

from collections.abc import Callable

from hubbub.closes import CLOSES, Return

#: Seconds: of the first ceiling, of the last, and for a server that restarts and does not say when to come back.
FIRST, CEILING, RESTART = 0.5, 20.0, 5.0
#: A connection that lived so long starts the delays from the beginning.
STEADY = 10.0

#: Statuses of a refused handshake after which asking again is of use.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})

_COMES_BACK = {close.code: close.comes_back for close in CLOSES}
_REASONS = {close.code: close.reason for close in reversed(CLOSES)}


def reason_of(code: int) -> str:
    """What the table says of a close code; "" where it is not in it."""
    return _REASONS.get(code, "")


class Returning:
    """`uniform` is `random.uniform`. `renews`: whether a new credential can be had."""

    def __init__(self, uniform: Callable[[float, float], float], *, renews: bool) -> None:
        self._uniform = uniform
        self._renews = renews
        self._attempt = 0

    def after_close(self, code: int, *, lived: float | None, retry_after: float | None) -> float | None:
        """Seconds until the next attempt, None where there is to be none.

        `lived`: seconds since `welcome`, None where there was none. `retry_after`: seconds that `closing` said.
        """
        then = _COMES_BACK.get(code, Return.BACKOFF)
        if then is Return.NEVER:
            return None
        if then is Return.NEW_CREDENTIAL and (lived is None or not self._renews):
            return None
        # A restart is no sign that all is well again, or a server that restarts in a circle would be stormed.
        if lived is not None and lived >= STEADY and code != 1012:
            self._attempt = 0
        if retry_after is not None:
            return max(0.0, retry_after)
        if then is Return.AT_ONCE and self._attempt == 0:
            self._attempt = 1
            return 0.0
        return self._later(least=RESTART if then is Return.AFTER_RETRY else 0.0)

    def after_refusal(self, status: int, *, retry_after: float | None) -> float | None:
        """The same, after a handshake that was answered so."""
        if status not in _LATER:
            return None
        wait = self._later()
        # Not all at the same moment: the answer was the same for everybody.
        return wait if retry_after is None else retry_after + self._uniform(0.0, 1.0)

    def after_failure(self) -> float:
        """The same, where nobody was reached."""
        return self._later()

    def _later(self, *, least: float = 0.0) -> float:
        ceiling = min(CEILING, FIRST * 2 ** min(self._attempt, 16))
        self._attempt += 1
        return self._uniform(0.0, max(least, ceiling))
