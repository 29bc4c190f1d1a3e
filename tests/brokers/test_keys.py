"""No topic, member, holder or hub name reaches another's key, whatever Unicode it is made of."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.brokers.redis.keys import Keys, decoded, encoded, quoted, quoted_whole, unquoted
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
        "shown": keys.shown(topic),
        "turn": keys.turn(what),
        "turns": keys.turns(what),
        "meta": keys.meta(topic),
        "stream": keys.stream(topic),
        "did": keys.did(topic, holder),
        "nodes": keys.nodes,
        "leases": keys.leases,
        "lapsed": keys.lapsed,
        "words": keys.words,
        "version": keys.version,
        "rules": keys.rules,
        "holds": keys.holds(holder),
        "edges": keys.edges,
        "numbers": keys.numbers,
        "asked": keys.asked,
        "left": keys.left,
    }


#: Of the hub, not of a topic.
OF_THE_HUB = {"nodes", "leases", "lapsed", "words", "version", "rules", "holds", "edges", "numbers", "asked", "left"}


@patient
@given(NAME, TEXT, TEXT)
def test_what_a_key_stands_for_can_be_read_from_it(name: str, what: str, holder: str) -> None:
    """And so no two things have the same one."""
    found = every(Keys(name), what, holder)
    assert len(set(found.values())) == len(found)
    for kind, key in found.items():
        match = re.fullmatch(r"hubbub:\{([^:]+?)(?::(.*))?\}:(\w+)(?::(.*))?", key.decode())
        assert match, key
        parts = [None if part is None else unquote(part, errors="surrogatepass") for part in match.groups()]
        topic, suffix = what, {"channel": "live", "held": "of"}.get(kind, kind)
        if kind in OF_THE_HUB:
            topic = None
        last = {"channel": "0", "held": holder, "holds": holder, "did": holder}.get(kind)
        assert parts == [name, topic, suffix, last]


@patient
@given(NAME, TEXT, TEXT)
def test_every_key_is_printable_under_our_prefix_with_one_hash_tag(name: str, what: str, holder: str) -> None:
    keys = every(Keys(name), what, holder)
    tags = set()
    for kind, key in keys.items():
        match = re.fullmatch(rb"hubbub:\{([^{}\0-\x20\x7f-\xff]+)\}:[^{}\0-\x20\x7f-\xff]+", key)
        assert match, key
        if kind not in OF_THE_HUB:
            tags.add(match[1])
    assert len(tags) == 1


@patient
@given(TEXT)
def test_elements_come_back_as_they_were(text: str) -> None:
    assert decoded(encoded(text)) == text
    assert unquoted(quoted(text)) == unquoted(quoted_whole(text)) == text


@patient
@given(NAME, TEXT, TEXT)
def test_a_script_makes_the_same_keys_from_their_parts(name: str, what: str, holder: str) -> None:
    keys = Keys(name)
    assert keys.holds(holder) == keys.all_holds + quoted_whole(holder)
    parts = (keys.all_topics, quoted(what), b"}:of:", quoted_whole(holder))
    assert keys.held(Topic(what), holder) == b"".join(parts)


def test_the_layout_is_what_other_programs_and_releases_rely_on() -> None:
    keys = Keys("shop", db=3)
    assert every(keys, "room:team:7", "n/1") == {
        "channel": b"hubbub:{shop:room:team:7}:live:3",
        "members": b"hubbub:{shop:room:team:7}:members",
        "held": b"hubbub:{shop:room:team:7}:of:n%2F1",
        "shown": b"hubbub:{shop:room:team:7}:shown",
        "turn": b"hubbub:{shop:room:team:7}:turn",
        "turns": b"hubbub:{shop:room:team:7}:turns",
        "meta": b"hubbub:{shop:room:team:7}:meta",
        "stream": b"hubbub:{shop:room:team:7}:stream",
        "did": b"hubbub:{shop:room:team:7}:did:n%2F1",
        "nodes": b"hubbub:{shop}:nodes",
        "leases": b"hubbub:{shop}:leases",
        "lapsed": b"hubbub:{shop}:lapsed",
        "words": b"hubbub:{shop}:words",
        "version": b"hubbub:{shop}:version",
        "rules": b"hubbub:{shop}:rules",
        "holds": b"hubbub:{shop}:holds:n%2F1",
        "edges": b"hubbub:{shop}:edges",
        "numbers": b"hubbub:{shop}:numbers",
        "asked": b"hubbub:{shop}:asked",
        "left": b"hubbub:{shop}:left",
    }


def test_a_hub_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name"):
        Keys("")
