"""No topic, member, holder or hub name reaches another's key, whatever Unicode it is made of."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.brokers.redis.keys import Keys, decoded, encoded
from hubbub.errors import ConfigurationError
from hubbub.types import Topic

#: All of Unicode, lone surrogates too, and more often what has a meaning in a key.
TEXT = st.text(st.one_of(st.characters(codec=None), st.sampled_from(":{}%/@ .\0*?[]")), max_size=20)
NAME = TEXT.filter(bool)

#: How long an example took on a machine that others use too says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def every(keys: Keys, what: str, holder: str) -> dict[str, bytes]:
    topic = Topic(what)
    return {
        "channel": keys.channel(topic),
        "members": keys.members(topic),
        "held": keys.held(topic, holder),
        "turn": keys.turn(what),
        "turns": keys.turns(what),
        "nodes": keys.nodes,
    }


@patient
@given(NAME, NAME, TEXT, TEXT, TEXT, TEXT)
def test_a_key_is_shared_only_by_what_is_the_same(
    name: str, other_name: str, what: str, other: str, holder: str, other_holder: str
) -> None:
    ones, others = every(Keys(name), what, holder), every(Keys(other_name), other, other_holder)
    assert len(set(ones.values())) == len(ones)
    same = {
        "channel": (name, what) == (other_name, other),
        "held": (name, what, holder) == (other_name, other, other_holder),
        "nodes": name == other_name,
    }
    for kind, key in ones.items():
        for other_kind, other_key in others.items():
            expected = kind == other_kind and same.get(kind, same["channel"])
            assert (key == other_key) == expected, (kind, other_kind)


@patient
@given(NAME, TEXT, TEXT)
def test_every_key_is_printable_under_our_prefix_with_one_hash_tag(name: str, what: str, holder: str) -> None:
    keys = every(Keys(name), what, holder)
    tags = set()
    for kind, key in keys.items():
        match = re.fullmatch(rb"hubbub:\{([^{}\0-\x20\x7f-\xff]+)\}:[^{}\0-\x20\x7f-\xff]+", key)
        assert match, key
        if kind != "nodes":
            tags.add(match[1])
    assert len(tags) == 1


@patient
@given(TEXT)
def test_elements_come_back_as_they_were(text: str) -> None:
    assert decoded(encoded(text)) == text


def test_the_layout_is_what_other_programs_and_releases_rely_on() -> None:
    keys = Keys("shop", db=3)
    assert every(keys, "room:team:7", "n/1") == {
        "channel": b"hubbub:{shop:room:team:7}:live:3",
        "members": b"hubbub:{shop:room:team:7}:members",
        "held": b"hubbub:{shop:room:team:7}:of:n%2F1",
        "turn": b"hubbub:{shop:room:team:7}:turn",
        "turns": b"hubbub:{shop:room:team:7}:turns",
        "nodes": b"hubbub:{shop}:nodes",
    }


def test_a_hub_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name"):
        Keys("")
