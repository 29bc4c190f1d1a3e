import copy
import json
import pickle
import re

import pytest

from hubbub import errors
from hubbub.errors import (
    ERROR_CODES,
    ConfigurationError,
    ConnectionClosed,
    CredentialError,
    ExpiredCredential,
    HubbubError,
    InternalError,
    InvalidCredential,
    InvalidMessage,
    RateLimited,
    Refused,
)
from hubbub.protocol.codec import encode

CODES = (
    "unauthorized",
    "forbidden",
    "unknown_type",
    "invalid_message",
    "unknown_room",
    "not_joined",
    "too_many_rooms",
    "rate_limited",
    "unavailable",
    "internal",
)
KINDS = Refused.__subclasses__()


def by_name(kind: type) -> str:
    return kind.__name__


def test_the_codes_are_those_of_the_protocol() -> None:
    assert ERROR_CODES == CODES


@pytest.mark.parametrize(
    ("kind", "above"),
    [
        (ConfigurationError, HubbubError),
        (ConnectionClosed, HubbubError),
        (CredentialError, HubbubError),
        (InvalidCredential, CredentialError),
        (ExpiredCredential, CredentialError),
        (Refused, HubbubError),
        *((kind, Refused) for kind in KINDS),
    ],
)
def test_the_tree_is_as_drawn(kind: type, above: type) -> None:
    assert kind.__bases__ == (above,)


def test_everything_raised_is_in_the_drawing() -> None:
    drawing = (errors.__doc__ or "").split()
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert [kind.__name__ for kind in kinds if kind.__name__ not in drawing] == []
    assert all(issubclass(kind, HubbubError) for kind in kinds)


def test_a_closed_connection_is_named() -> None:
    error = ConnectionClosed("c-1")
    assert error.connection == "c-1"
    assert str(error) == "connection c-1 is closed"


@pytest.mark.parametrize("kind", KINDS, ids=by_name)
def test_a_refusal_says_its_code_and_a_sentence(kind: type[Refused]) -> None:
    assert kind().on_the_wire() == {"type": "error", "code": kind.code, "message": kind.default}
    assert str(kind()) == kind().message == kind.default


def test_a_refusal_with_words_of_its_own_says_those() -> None:
    error = InvalidMessage("id is a string")
    assert str(error) == error.message == error.on_the_wire()["message"] == "id is a string"


def test_no_words_are_the_default_ones() -> None:
    assert InvalidMessage("").message == InvalidMessage.default


@pytest.mark.parametrize(
    ("error", "id", "more"),
    [
        (InvalidMessage(field="room"), None, {"field": "room"}),
        (InvalidMessage(field=""), None, {"field": ""}),  # the whole message
        (RateLimited(retry_after=250), None, {"retry_after": 250}),
        (RateLimited(retry_after=0), None, {"retry_after": 0}),
        (InternalError(), "a", {"id": "a"}),
        (InternalError(), 0, {"id": 0}),
        (InternalError(), "", {"id": ""}),
        (InvalidMessage(field="a", retry_after=1), 7, {"field": "a", "retry_after": 1, "id": 7}),
    ],
)
def test_a_field_is_on_the_wire_exactly_where_it_applies(error: Refused, id: str | int | None, more: dict) -> None:
    plain = {"type": "error", "code": error.code, "message": error.default}
    assert error.on_the_wire(id) == plain | more
    assert json.loads(encode(error.on_the_wire(id))) == plain | more


def test_a_refusal_survives_being_copied_and_pickled() -> None:
    error = RateLimited("slower", field="a", retry_after=3)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert again.on_the_wire() == error.on_the_wire()


def test_what_a_log_says_of_an_exception_is_its_type_and_place_and_never_its_words() -> None:
    assert errors.described(ValueError("hush")) == "builtins.ValueError"
    with pytest.raises(InternalError) as raised:
        raise InternalError("hush")
    assert re.fullmatch(
        rf"hubbub\.errors\.InternalError at {re.escape(__file__)}:\d+ in test_what_a_log_says.*",
        errors.described(raised.value),
    )
