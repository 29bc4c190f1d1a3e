import re
from dataclasses import FrozenInstanceError
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import closes
from hubbub.closes import CLOSES, MAX_REASON_BYTES, Close, Return

# The protocol's table, written out once more so that a slip in either shows.
COMES_BACK = {
    1000: Return.NEVER,
    1003: Return.NEVER,
    1007: Return.NEVER,
    1008: Return.NEVER,
    1009: Return.NEVER,
    1011: Return.BACKOFF,
    1012: Return.AFTER_RETRY,
    1013: Return.BACKOFF,
    4001: Return.NEW_CREDENTIAL,
    4002: Return.BACKOFF,
    4003: Return.NEVER,
    4004: Return.NEVER,
    4005: Return.NEW_CREDENTIAL,
    4006: Return.AT_ONCE,
    4007: Return.AT_ONCE,
}


def test_the_table_has_every_code_of_the_protocol_and_says_whether_to_come_back() -> None:
    assert {close.code: close.comes_back for close in CLOSES} == COMES_BACK


def test_a_code_says_the_same_about_coming_back_wherever_it_stands() -> None:
    assert len({(close.code, close.comes_back) for close in CLOSES}) == len(COMES_BACK)


def test_only_overload_has_a_code_for_two_reasons() -> None:
    codes = [close.code for close in CLOSES]
    assert {code for code in codes if codes.count(code) > 1} == {closes.OVERLOADED.code} == {closes.TOO_SLOW.code}


def test_the_table_is_every_close_of_the_module_in_the_order_of_the_codes() -> None:
    named = [
        value for value in vars(closes).values() if isinstance(value, Close) and value is not closes.PROTOCOL_ERROR
    ]
    assert list(CLOSES) == named
    assert all(one.code <= other.code for one, other in pairwise(CLOSES))


@pytest.mark.parametrize("close", CLOSES, ids=lambda close: f"{close.code}-{close.reason[:20]}")
def test_a_close_can_be_sent(close: Close) -> None:
    assert 1 <= len(close.reason.encode()) <= MAX_REASON_BYTES
    # 1005, 1006 and 1015 must not be in a frame, RFC 6455 section 7.4.1; 4000 to 4999 are private use.
    assert close.code in {1000, 1003, 1007, 1008, 1009, 1011, 1012, 1013} or 4000 <= close.code <= 4999


def test_the_table_cannot_be_changed_in_passing() -> None:
    with pytest.raises(FrozenInstanceError):
        closes.FINISHED.reason = "other"  # type: ignore[misc]


def test_a_control_frame_has_room_for_the_code_and_the_longest_reason() -> None:
    assert 2 + MAX_REASON_BYTES == 125


@given(st.text(min_size=1), st.sampled_from(CLOSES))
def test_the_applications_reason_is_cut_to_what_a_close_frame_can_carry(reason: str, close: Close) -> None:
    given = close.because(reason)
    assert (given.code, given.comes_back) == (close.code, close.comes_back)
    assert len(given.reason.encode()) <= MAX_REASON_BYTES
    assert reason.startswith(given.reason)
    if len(reason.encode()) <= MAX_REASON_BYTES:
        assert given.reason == reason


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("é" * 62, "é" * 61),  # 124 bytes: no half character is left
        ("x" * 122 + "😀", "x" * 122),
        ("a\ud800b", "a?b"),
    ],
)
def test_a_cut_reason_is_whole_characters(reason: str, cut: str) -> None:
    assert closes.DISCONNECTED.because(reason).reason == cut


@pytest.mark.parametrize(("reason", "told"), [(ValueError("bye"), "bye"), (7, "7"), ("\ud800", "?"), (None, "")])
def test_what_is_no_text_is_told_as_one(reason: Any, told: str) -> None:
    assert closes.short(reason) == told


def test_without_a_reason_the_close_keeps_its_own() -> None:
    assert closes.DISCONNECTED.because("") is closes.DISCONNECTED


def test_the_answer_to_coming_back_is_in_the_words_of_the_protocol() -> None:
    assert all(re.fullmatch(r"[a-z_ ]+", answer.value) for answer in Return)
    assert {close.comes_back for close in CLOSES} == set(Return)
