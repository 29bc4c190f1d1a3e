"""Which handshake an exception has to do with, so that whoever logs it can leave out what is secret there.

An application's exception may quote anything of its connection: the URL, headers, cookies. By its shape alone the id of
a session is a word like others; what the client presented is known, and found where it stands. The exception carries
it, because it goes ways that are not ours: through a route, a middleware, the server's own log.
"""

from collections.abc import Iterator
from contextlib import suppress

from hubbub.protocol.handshake import Handshake

_NAME = "__hubbub_handshake__"


def concern(error: BaseException, handshake: Handshake) -> None:
    """The exception was raised for this connection."""
    with suppress(AttributeError, TypeError):  # an exception of the application's may have slots
        setattr(error, _NAME, handshake)


def concerned(error: BaseException | None) -> Iterator[Handshake]:
    """The handshakes that it has to do with, or whatever it came from, or is made of."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        found = getattr(each, _NAME, None)
        if isinstance(found, Handshake):
            yield found
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
