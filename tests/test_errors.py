import copy
import json
import math
import pickle
import re
from typing import Any

import pytest

from hubbub import errors
from hubbub.errors import (
    ERROR_CODES,
    ConfigurationError,
    ConnectionClosed,
    CredentialError,
    CredentialFault,
    ExpiredCredential,
    HubbubError,
    InternalError,
    InvalidCredential,
    InvalidMessage,
    RateLimited,
    Refused,
)
from hubbub.ports.metrics import Count
from hubbub.protocol.codec import encode

CODES = (
    "unauthorized",
    "forbidden",
    "unknown_type",
    "invalid_message",
    "unknown_room",
    "not_joined",
    "not_found",
    "conflict",
    "too_many_rooms",
    "rate_limited",
    "unavailable",
    "internal",
    "refused",
)
KINDS = [kind for kind in Refused.__subclasses__() if kind.__module__ == errors.__name__]


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


def test_a_credential_is_counted_by_its_fault() -> None:
    assert (CredentialError().fault, InvalidCredential("no").fault) == (CredentialFault.OTHER, CredentialFault.OTHER)
    assert ExpiredCredential().fault == CredentialFault.EXPIRED
    assert ExpiredCredential("gone", fault=CredentialFault.REVOKED).fault == CredentialFault.REVOKED
    assert str(InvalidCredential("no such key", fault=CredentialFault.UNKNOWN)) == "no such key"
    counted = {what.removeprefix("credentials_") for what in Count if what.startswith("credentials_")}
    assert counted == set(CredentialFault)


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


class SoldOut(Refused):
    code = "sold_out"
    default = "there are none left"


def test_an_application_has_codes_of_its_own_or_none() -> None:
    class Plain(Refused):
        pass

    assert Refused("sold out").on_the_wire() == {"type": "error", "code": "refused", "message": "sold out"}
    assert Plain().on_the_wire() == {"type": "error", "code": "refused", "message": "refused"}
    assert SoldOut().on_the_wire(1) == {"type": "error", "code": "sold_out", "message": "there are none left", "id": 1}


@pytest.mark.parametrize("code", [code for code in CODES if code != "refused"])
def test_a_code_of_the_protocols_is_had_by_inheriting_it(code: str) -> None:
    [kind] = [kind for kind in KINDS if kind.code == code]
    with pytest.raises(ConfigurationError, match=f"Own: the code '{code}' belongs to the protocol"):
        type("Own", (Refused,), {"code": code})
    assert type("Again", (kind,), {"code": code})().code == code
    assert type("Other", (kind,), {"code": "own"})().code == "own"
    with pytest.raises(ConfigurationError):
        type("Back", (type("Other", (kind,), {"code": "own"}),), {"code": code})


class Silent:
    def __str__(self) -> str:
        raise RuntimeError


class Odd(Refused):
    """One that never called its base, and has whatever it is given."""

    def __init__(self, **given: object) -> None:
        self.__dict__.update(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"code": "refused", "message": "refused"}),
        ({"code": 7, "message": 7, "field": 7}, {"code": "refused", "message": "7", "field": "7"}),
        ({"code": "", "message": "", "field": ""}, {"code": "refused", "message": "refused", "field": ""}),
        ({"code": "\ud800", "message": "\ud800", "field": "\ud800"}, {"code": "?", "message": "?", "field": "?"}),
        ({"message": Silent(), "field": Silent()}, {"code": "refused", "message": "refused", "field": ""}),
        ({"default": Silent()}, {"code": "refused", "message": "refused"}),
        ({"field": ("items", 0, "\ud800")}, {"code": "refused", "message": "refused", "field": "items.0.?"}),
        ({"message": "é" * 1000}, {"code": "refused", "message": "é" * 1000}),
        ({"message": "é" * 1001}, {"code": "refused", "message": "é" * 999 + "…"}),
        ({"code": "c" * 201}, {"code": "c" * 199 + "…", "message": "refused"}),
        ({"field": "f" * 2**20}, {"code": "refused", "message": "refused", "field": "f" * 199 + "…"}),
        *(
            ({"retry_after": given}, {"code": "refused", "message": "refused", "retry_after": told})
            for given, told in ((0, 0), (0.0, 0), (0.1, 1), (1500.0, 1500), (2**53, 2**53))
        ),
        *(
            ({"retry_after": given}, {"code": "refused", "message": "refused"})
            for given in (None, True, -1, -0.5, math.nan, math.inf, -math.inf, 2**53 + 2, "1", [1])
        ),
    ],
)
def test_whatever_it_holds_what_goes_on_the_wire_is_well_formed(given: dict[str, Any], told: dict[str, Any]) -> None:
    error = Odd(**given).on_the_wire()
    assert error == {"type": "error", **told}
    assert json.loads(encode(error)) == error


FAULTS = [{"msg": "too small", "loc": ("items", 0), "type": "x", "input": "secret"}, {"msg": "too large", "loc": ()}]


class Invalid(Exception):
    def errors(self) -> list[dict[str, Any]]:
        return FAULTS


@pytest.mark.parametrize("found", [FAULTS, tuple(FAULTS), Invalid()])
def test_an_invalid_message_says_the_first_of_pydantics_faults(found: Any) -> None:
    assert InvalidMessage(found).on_the_wire() == {
        "type": "error",
        "code": "invalid_message",
        "message": "too small",
        "field": "items.0",
    }
    assert InvalidMessage(found, field="own").field == "own"
    assert InvalidMessage([{"msg": "too small"}]).field is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ValueError("too small"), "too small"),
        (ValueError(), InvalidMessage.default),
        ([], "[]"),
        ([1], "[1]"),
        ([{"loc": ()}], "[{'loc': ()}]"),
        (None, InvalidMessage.default),
    ],
)
def test_what_is_none_of_pydantics_is_told_as_it_is(found: Any, message: str) -> None:
    assert InvalidMessage(found).on_the_wire() == {"type": "error", "code": "invalid_message", "message": message}


def test_a_wrong_answer_is_described_with_its_words() -> None:
    """They are ours, and quote nothing."""
    with pytest.raises(errors.WrongAnswer) as raised:
        raise errors.WrongAnswer("a User, not int")
    assert re.fullmatch(
        rf"hubbub\.errors\.WrongAnswer at {re.escape(__file__)}:\d+ in test_a_wrong_answer.*: a User, not int",
        errors.described(raised.value),
    )
