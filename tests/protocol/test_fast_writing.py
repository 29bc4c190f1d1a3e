"""The short way of writing: what it writes is what Pydantic writes, and the rest it leaves to it."""

import json
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import to_json

from hubbub.protocol import fast_path

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.text(max_size=20)
    | st.integers()
    | st.integers(2**63 - 2, 2**63 + 1)
    | st.integers(-(2**63) - 1, -(2**63) + 1)
    | st.floats()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20) | st.integers(0, 3), inner),
)


@given(PLAIN)
@example({"text": "x" * 10_000, "list": ["é" * 5000] * 3})
@example({"a": -(2**63), "b": 2**63 - 1, "c": 0})
@example({"a": "\x7f\u2028\uffff\U0010ffff", "b": "\x1f"})
@example([[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]])
def test_what_is_written_plainly_is_what_pydantic_writes(accelerator: ModuleType, message: object) -> None:
    plainly = accelerator.written(message)
    assert plainly is None or plainly == to_json(message)


class Text(str):
    """To be written as its owner says."""


ESCAPED = ['"', "\\", "\x00", "\x1f", "\n", "\ud800"]


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**63,
        -(2**63) - 1,
        b"bytes",
        (1, 2),
        {1},
        Text("text"),
        object(),
        {1: 2},
        {Text("text"): 1},
        *(f"{'x' * 9}{escaped}{'y' * 9}" for escaped in ESCAPED),
        *({escaped: 1} for escaped in ESCAPED),
    ],
    ids=lambda value: "object" if type(value) is object else ascii(value),
)
def test_what_is_not_plain_is_left_to_pydantic(accelerator: ModuleType, value: object) -> None:
    for message in (value, {"a": 1, "b": value}, ["a", {"b": [value]}]):
        assert accelerator.written(message) is None
        assert fast_path.python_written(message) is None


def test_what_is_nested_deeply_or_without_end_is_left(accelerator: ModuleType) -> None:
    deep: object = 1
    for _ in range(16):
        deep = [deep]
    assert accelerator.written(deep) == b"[" * 16 + b"1" + b"]" * 16
    assert accelerator.written([deep]) is None
    endless: dict[str, object] = {}
    endless["a"] = endless
    assert accelerator.written(endless) is None


def test_what_nearly_all_messages_are_is_written_plainly(accelerator: ModuleType) -> None:
    message = {"type": "ack", "result": {"content": "é😀", "list": [1, None], "empty": [{}, []]}, "id": 7, "ok": True}
    assert accelerator.written(message) == json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
