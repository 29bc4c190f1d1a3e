"""What all who declared a hub's rooms say of keeping their messages, taken together."""

import json

import pytest

from hubbub import ConfigurationError, History
from hubbub.options import Keep
from hubbub.ports.broker import LIVING
from hubbub.rooms.retention import Retention, Said, Word, together, word
from hubbub.types import EVERYONE, room_topic, user_topic

SHORT, LONG, MANY = History(size=10, ttl=60), History(size=5, ttl=3600), History(size=100, ttl=30)
DEAD = LIVING + 1


def test_the_first_pattern_of_a_word_wins_and_of_what_none_matches_it_says_nothing() -> None:
    rooms: list[tuple[str, Keep]] = [
        ("team:{id}", LONG),
        ("quiet:{x}", None),
        ("old:{x}", False),
        ("{rest:path}", MANY),
    ]
    read = Word.read(word(rooms, SHORT))
    assert read.says(room_topic("team:7")) == LONG
    assert read.says(room_topic("quiet:7")) is None
    assert read.says(room_topic("old:7")) is False
    assert read.says(room_topic("team:7/x")) == MANY
    assert read.says(user_topic("ann")) == SHORT
    assert read.says(EVERYONE) is None
    assert Word.read(word([], False)).says(user_topic("ann")) is False
    assert Word.read(word([], None)).says(room_topic("a")) is Word.read(word([], None)).says(user_topic("ann")) is None


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{}", b'{"rooms": [["a{", 1, 1]], "inbox": null}', b'{"rooms": [["a"]]}']
)
def test_a_word_that_cannot_be_read_is_refused(said: bytes) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Word.read(said)


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ([], None),
        ([(None, 0), (None, DEAD)], None),
        # Whoever says nothing takes nothing away, whether what is kept is said by one that lives or not.
        ([(None, 0), (SHORT, 1)], SHORT),
        ([(None, 0), (SHORT, DEAD)], SHORT),
        # The most of each figure, of those that live.
        ([(SHORT, 0), (LONG, 1), (MANY, 2)], History(size=100, ttl=3600)),
        ([(SHORT, 0), (LONG, DEAD)], SHORT),
        ([(None, 0), (SHORT, DEAD), (LONG, 2 * DEAD)], History(size=10, ttl=3600)),
        # One that lives keeps, whatever another took back; else what was taken back is over, what came after is not.
        ([(False, 0), (SHORT, LIVING)], SHORT),
        ([(False, 0), (SHORT, DEAD)], False),
        ([(None, 0), (SHORT, 2 * DEAD), (False, DEAD)], False),
        ([(None, 0), (SHORT, DEAD), (False, 2 * DEAD)], SHORT),
        ([(False, DEAD)], False),
    ],
)
def test_what_all_come_to(answers: list[tuple[Keep, float]], kept: Keep) -> None:
    assert together([Said(*answer) for answer in answers]) == kept


def test_what_is_known_of_others_and_what_one_declares_itself() -> None:
    retention = Retention()
    assert retention.kept(room_topic("a")) is None
    assert retention.kept(room_topic("a"), SHORT) == SHORT
    before = retention.version
    said = json.dumps({"rooms": [["a", 5, 3600]], "inbox": None}).encode()
    retention.learn([(Word.read(said), 0.0)])
    assert retention.version != before
    assert retention.kept(room_topic("a"), SHORT) == History(size=10, ttl=3600)
    assert retention.kept(room_topic("b"), False) is False
    assert Retention.read({said: 0.0}).kept(room_topic("a")) == LONG
    assert Retention.read({}).kept(room_topic("a")) is None
