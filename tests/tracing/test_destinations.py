from hubbub.options import RoomOptions
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import Patterns
from hubbub.tracing.destinations import Destinations
from hubbub.types import EVERYONE, room_topic, user_topic


def declared(*names: str) -> DeclaredRooms:
    patterns: Patterns[Rule] = Patterns()
    for name in names:
        patterns.declare(name, Rule(None, RoomOptions()), {})  # type: ignore[arg-type]
    return DeclaredRooms(patterns)


def test_many_rooms_have_one_name_in_spans_and_each_its_own_beside_it() -> None:
    destinations = Destinations(declared("team:{team}", "{rest:path}"))
    for room, pattern in (("team:7", "team:{team}"), ("team:8", "team:{team}"), ("lobby/1", "{rest:path}")):
        name, attributes = destinations.of(room_topic(room))
        assert name == pattern
        assert attributes["messaging.destination.name"] == room
        assert attributes["messaging.destination.template"] == pattern
        assert attributes["messaging.system"] == "hubbub"


def test_a_room_that_was_not_declared_is_a_room() -> None:
    assert Destinations(declared()).of(room_topic("lobby")).name == "room"


def test_whose_inbox_it_is_is_left_out() -> None:
    name, attributes = Destinations(declared("{rest:path}")).of(user_topic("alice"))
    assert name == "user"
    assert "alice" not in str(attributes)
    assert Destinations(declared()).of(EVERYONE).name == "everyone"


def test_what_is_declared_later_counts_from_then_on() -> None:
    rooms = declared()
    destinations = Destinations(rooms)
    assert destinations.of(room_topic("team:7")).name == "room"
    rooms.patterns.declare("team:{team}", Rule(None, RoomOptions()), {})  # type: ignore[arg-type]
    assert destinations.of(room_topic("team:7")).name == "team:{team}"
