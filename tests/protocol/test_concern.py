"""An exception says which handshake it has to do with, through whatever it caused and is made of."""

from hubbub.protocol.concern import concern, concerned
from hubbub.protocol.handshake import Handshake


class Slotted(Exception):
    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def handshake() -> Handshake:
    return Handshake({"type": "websocket", "path": "/", "headers": [], "query_string": b""}, None)


def test_what_it_came_from_and_what_it_is_made_of() -> None:
    one, two, three = handshake(), handshake(), handshake()
    cause, part, context = ValueError(), KeyError(), OSError()
    concern(cause, one)
    concern(part, two)
    concern(context, three)
    error = BaseExceptionGroup("several", [part, KeyboardInterrupt()])
    error.__cause__, error.__context__ = cause, context
    context.__context__ = error
    assert set(map(id, concerned(error))) == {id(one), id(two), id(three)}


def test_none_is_none_of_anybodys() -> None:
    assert list(concerned(None)) == []
    assert list(concerned(ValueError())) == []


def test_one_that_takes_nothing_concerns_nobody() -> None:
    error = Slotted()
    concern(error, handshake())
    assert list(concerned(error)) == []
