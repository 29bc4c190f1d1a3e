"""The short ways of whole messages, in C and in Python: a typed one that comes, and the answer to a request."""

from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from hubbub.protocol.fast_path import Typed, python_acknowledged, python_plain, python_typed
from tests.kit.blocks import kept
from tests.protocol.implementations import c


@pytest.fixture(scope="module", params=["C", "Python"])
def typed(request: pytest.FixtureRequest) -> Typed:
    implementation: Typed = c().typed if request.param == "C" else python_typed
    return implementation


@pytest.mark.parametrize(
    ("text", "type", "id"),
    [
        ('{"type":"say"}', "say", None),
        ('{ "id" : 7, "type" : "say", "content":"x"}', "say", 7),
        ('{"type":"","id":null}', "", None),
        ('{"type":"é","id":"seven"}', "é", "seven"),
        ('{"type":"say","id":true}', "say", True),
        ('{"typed":1,"type":"say","tyoe":2,"ID":3,"ids":4,"i":5}', "say", None),
    ],
)
def test_a_typed_message_is_told_with_its_type_and_its_id(typed: Typed, text: str, type: str, id: object) -> None:
    assert typed(text) == (type, python_plain(text), id)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"id":7}',
        '{"type":7,"id":7}',
        '{"type":null}',
        '{"type":"say","type":"say"}',
        '{"type":"say","id":1,"id":2}',
        '{"type":"say","list":[]}',
        '{"type":"say\\n"}',
        '{"type":"say"',
        '{"ty\ud800pe":"say"}',
        "[]",
        "",
    ],
)
def test_any_other_is_left(typed: Typed, text: str) -> None:
    assert typed(text) is None


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["type", "id", "typ", "i", "content", "é"]),
            st.sampled_from(['"say"', '""', "7", "-1", "4611686018427387904", "null", "true", "1.5", "[]", "é"]),
        ),
        max_size=5,
    ).map(lambda members: "{" + ",".join(f'"{key}":{value}' for key, value in members) + "}")
    | st.text(st.sampled_from('{}":,typeid7 '))
)
def test_any_text_is_told_alike(accelerator: ModuleType, text: str) -> None:
    assert repr(accelerator.typed(text)) == repr(python_typed(text))


@pytest.mark.parametrize("text", ['{"type":"xyz","id":1000}', '{"id":1000}', '{"type":"xyz","type":"xyz"}', '{"type'])
def test_nothing_is_kept_of_a_message_that_was_told(typed: Typed, text: str) -> None:
    assert kept(lambda: typed(text)) < 200


@pytest.mark.parametrize("wrong", [b"{}", None, 1])
def test_c_tells_a_str_alone(accelerator: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError):
        accelerator.typed(wrong)


RESULTS = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | st.integers() | st.floats() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
)


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 1


@given(st.integers() | st.text(max_size=20), RESULTS)
@example(7, nested(14))
@example(7, nested(15))
@example(7, nested(16))
def test_an_answer_is_what_pydantic_writes(accelerator: ModuleType, id: object, result: object) -> None:
    message = {"type": "ack", "result": result, "id": id}
    plainly = accelerator.acknowledged(id, result)
    assert plainly == accelerator.written(message)
    assert plainly is None or plainly == to_json(message)


@pytest.mark.parametrize(("id", "result"), [(7, 1.5), (7, "\n"), (7, "\ud800"), ("\n", 1), (1.5, {}), (7, object())])
def test_an_answer_that_needs_more_is_left(accelerator: ModuleType, id: object, result: object) -> None:
    assert accelerator.acknowledged(id, result) is None


def test_python_leaves_every_answer() -> None:
    assert python_acknowledged(7, None) is None


def test_nothing_is_kept_of_an_answer(accelerator: ModuleType) -> None:
    assert kept(lambda: accelerator.acknowledged(1000, {"one": ["x" * 5000]})) < 200
    assert kept(lambda: accelerator.acknowledged(1000, {"one": ["x" * 5000, 1.5]})) < 200


def test_c_takes_an_id_and_a_result(accelerator: ModuleType) -> None:
    with pytest.raises(TypeError):
        accelerator.acknowledged(7)
