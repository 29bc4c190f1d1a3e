"""What a client asks for by name, in either place, and what of it the hub knows."""

import pytest

from hubbub.errors import InvalidMessage
from hubbub.protocol.features import KNOWN, NONE, PRESENCE, asked_for, both, offered

ASKED = frozenset({PRESENCE})


def test_what_is_known() -> None:
    assert {"presence", "expiring", "diff"} == KNOWN


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (None, None),
        ([], NONE),
        (["presence"], ASKED),
        (["presence", "presence"], ASKED),
        (["no such", "presence", "+"], ASKED),
        (["no such"], NONE),
    ],
)
def test_the_features_of_a_message(names: object, read: object) -> None:
    assert asked_for(names) == read


@pytest.mark.parametrize("names", ["presence", {"presence": True}, 7, True, [7], [None], [""], ["presence", []]])
def test_features_that_are_no_array_of_names_are_refused(names: object) -> None:
    with pytest.raises(InvalidMessage, match=r"^features is an array of names$") as refused:
        asked_for(names)
    assert refused.value.field == "features"


@pytest.mark.parametrize(
    ("subprotocols", "read"),
    [
        ([], None),
        (["hubbub.v1", "hubbub.bearer.hubbub.features.presence"], None),
        (["hubbub.v1", "hubbub.features.presence"], ASKED),
        (["hubbub.features.later+presence", "hubbub.v1"], ASKED),
        (["hubbub.features.later"], NONE),
    ],
)
def test_the_features_of_a_handshake(subprotocols: list[str], read: object) -> None:
    assert offered(subprotocols) == read


@pytest.mark.parametrize("names", ["", "+", "presence+", "+presence", "a++b"])
def test_a_name_is_not_empty(names: str) -> None:
    with pytest.raises(InvalidMessage, match="none of them is empty"):
        offered([f"hubbub.features.{names}"])


def test_they_are_offered_once() -> None:
    with pytest.raises(InvalidMessage, match="more than once"):
        offered(["hubbub.features.presence", "hubbub.features.presence"])


def test_what_is_asked_for_in_two_places_counts() -> None:
    assert both(None, None) is None
    assert both(ASKED, None) == both(None, ASKED) == both(NONE, ASKED) == both(ASKED, ASKED) == ASKED
    assert both(NONE, None) == both(None, NONE) == NONE


def test_a_set_is_there_once_however_many_ask_for_it() -> None:
    asked = asked_for(["presence"])
    assert asked is offered(["hubbub.features.presence+x"])
    assert asked is both(NONE, asked)
