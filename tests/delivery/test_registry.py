import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.delivery.registry import Registry

CONNECTIONS = range(6)
USERS = ["alice", "bob", ""]
ROOMS = ["a", "b", "c"]

connections = st.sampled_from(CONNECTIONS)
users = st.sampled_from(USERS)
rooms = st.sampled_from(ROOMS)


@pytest.fixture
def registry() -> Registry[int]:
    registry: Registry[int] = Registry()
    for connection, user in enumerate(["alice", "bob", "alice"]):
        registry.add(connection, user)
    return registry


def test_a_connection_is_registered_once(registry: Registry[int]) -> None:
    registry.join(0, "a")
    with pytest.raises(ValueError, match="this connection is registered already"):
        registry.add(0, "bob")
    assert list(registry.of_user("alice")) == [0, 2]
    assert list(registry.of_user("bob")) == [1]
    assert registry.in_room(0, "a")


def test_joining_needs_a_registered_connection_and_leaves_no_room_behind(registry: Registry[int]) -> None:
    with pytest.raises(KeyError):
        registry.join(9, "a")
    assert list(registry.members("a")) == []
    assert not registry.entries[2]


def test_joining_and_leaving_say_whether_anything_changed(registry: Registry[int]) -> None:
    assert registry.join(0, "a") is True
    assert registry.join(0, "a") is False
    assert registry.leave(0, "a") is True
    assert registry.leave(0, "a") is False
    assert registry.leave(9, "a") is False


def test_who_is_gone_is_gone_from_everywhere(registry: Registry[int]) -> None:
    registry.join(0, "b")
    registry.join(0, "a")
    registry.join(1, "a")
    assert registry.discard(0) == ("b", "a")
    assert list(registry.members("a")) == [1]
    assert list(registry.members("b")) == []
    assert list(registry.of_user("alice")) == [2]
    assert 0 not in registry
    assert len(registry) == 2


def test_being_gone_twice_is_nothing_new(registry: Registry[int]) -> None:
    registry.join(0, "a")
    assert registry.discard(0) == ("a",)
    assert registry.discard(0) == ()
    assert registry.discard(9) == ()


def test_first_come_first_served(registry: Registry[int]) -> None:
    for connection in (2, 0, 1):
        registry.join(connection, "a")
    registry.leave(2, "a")
    registry.join(2, "a")
    assert list(registry.members("a")) == [0, 1, 2]
    assert list(registry.everyone()) == [0, 1, 2]


def test_empty_entries_go_at_once(registry: Registry[int]) -> None:
    for connection in range(3):
        registry.join(connection, "a")
    for connection in range(3):
        registry.discard(connection)
    assert not any(registry.entries)
    assert not len(registry)


def test_asking_about_strangers_registers_nobody(registry: Registry[int]) -> None:
    assert not registry.in_room(9, "a")
    assert list(registry.rooms(9)) == []
    assert list(registry.members("nowhere")) == []
    assert list(registry.of_user("nobody")) == []
    assert registry.users == 2
    assert len(registry) == 3


def test_members_users_and_everyone_are_live(registry: Registry[int]) -> None:
    registry.join(0, "a")
    views = registry.members("a"), registry.of_user("alice"), registry.everyone()
    registry.join(2, "a")
    registry.add(7, "alice")
    assert [list(view) for view in views] == [[0, 2], [0, 2, 7], [0, 1, 2, 7]]


def test_the_tabs_of_a_user_are_live_from_the_first_to_the_last(registry: Registry[int]) -> None:
    view = registry.of_user("bob")
    assert (list(view), len(view), 1 in view, 0 in view) == ([1], 1, True, False)
    registry.add(7, "bob")
    assert (list(view), len(view), 7 in view) == ([1, 7], 2, True)
    registry.discard(1)
    assert (list(view), len(view), 1 in view) == ([7], 1, False)
    registry.discard(7)
    assert (list(view), len(view), 7 in view) == ([], 0, False)
    registry.add(8, "bob")
    assert list(view) == [8]


def test_a_user_is_counted_once_however_many_tabs(registry: Registry[int]) -> None:
    assert registry.users == 2
    registry.discard(0)
    assert registry.users == 2
    registry.discard(2)
    assert registry.users == 1


def test_the_version_is_another_after_each_change_and_the_same_after_none(registry: Registry[int]) -> None:
    versions = [registry.version]
    for change in (
        lambda: registry.add(7, "alice"),
        lambda: registry.join(7, "a"),
        lambda: registry.join(0, "a"),
        lambda: registry.leave(7, "a"),
        lambda: registry.join(7, "a"),
        lambda: registry.discard(7),
        lambda: registry.discard(1),
    ):
        change()
        versions.append(registry.version)
    assert len(set(versions)) == len(versions)
    registry.join(0, "a")
    registry.leave(0, "b")
    registry.leave(7, "a")
    registry.discard(7)
    with pytest.raises(ValueError, match="registered already"):
        registry.add(0, "bob")
    with pytest.raises(KeyError):
        registry.join(9, "a")
    list(registry.members("a"))
    assert registry.version == versions[-1]


class RegistryAgainstSets(RuleBasedStateMachine):
    """The naive model: who each connection belongs to, and which pairs of connection and room there are."""

    def __init__(self) -> None:
        super().__init__()
        self.registry: Registry[int] = Registry()
        self.user_of: dict[int, str] = {}
        self.joined: dict[tuple[int, str], None] = {}
        self.answers: dict[int, object] = {}
        """By version, what was answered to everything."""

    @rule(connection=connections, user=users)
    def add(self, connection: int, user: str) -> None:
        if connection in self.user_of:
            with pytest.raises(ValueError, match="registered already"):
                self.registry.add(connection, user)
        else:
            self.registry.add(connection, user)
            self.user_of[connection] = user

    @rule(connection=connections)
    def discard(self, connection: int) -> None:
        gone = [pair for pair in self.joined if pair[0] == connection]
        assert self.registry.discard(connection) == tuple(room for _, room in gone)
        self.user_of.pop(connection, None)
        for pair in gone:
            del self.joined[pair]

    @rule(connection=connections, room=rooms)
    def join(self, connection: int, room: str) -> None:
        if connection not in self.user_of:
            with pytest.raises(KeyError):
                self.registry.join(connection, room)
        else:
            assert self.registry.join(connection, room) is ((connection, room) not in self.joined)
            self.joined.setdefault((connection, room))

    @rule(connection=connections, room=rooms)
    def leave(self, connection: int, room: str) -> None:
        assert self.registry.leave(connection, room) is ((connection, room) in self.joined)
        self.joined.pop((connection, room), None)

    @invariant()
    def both_directions_agree_with_the_model(self) -> None:
        registry = self.registry
        assert list(registry.everyone()) == list(self.user_of)
        assert len(registry) == len(self.user_of)
        assert registry.users == len(set(self.user_of.values()))
        for user in USERS:
            assert list(registry.of_user(user)) == [key for key, of in self.user_of.items() if of == user]
        for room in ROOMS:
            assert list(registry.members(room)) == [key for key, where in self.joined if where == room]
        for connection in CONNECTIONS:
            assert (connection in registry) is (connection in self.user_of)
            assert list(registry.rooms(connection)) == [where for key, where in self.joined if key == connection]
            assert all(registry.in_room(connection, room) is ((connection, room) in self.joined) for room in ROOMS)

    @invariant()
    def as_long_as_the_version_is_the_same_so_are_the_answers(self) -> None:
        # In order: what is worked out from members once is good as long as the version is.
        answers = (list(self.user_of.items()), list(self.joined))
        assert self.answers.setdefault(self.registry.version, answers) == answers

    @invariant()
    def nothing_empty_is_kept(self) -> None:
        connections, users, rooms = map(set, self.registry.entries)
        assert rooms == {room for _, room in self.joined}
        assert users == set(self.user_of.values())
        assert connections == set(self.user_of)


TestRegistryAgainstSets = RegistryAgainstSets.TestCase
