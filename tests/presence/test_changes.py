"""Net and end: whoever knew who was there before knows it afterwards, and so does one who looked in between."""

from hypothesis import given
from hypothesis import strategies as st

from hubbub.presence.changes import Changes, Diff, Shown

#: More than anybody shows here.
BYTES = 1000


def changes(*noted: tuple[str, bool]) -> Changes:
    noted_all = Changes()
    for user, here in noted:
        noted_all.note(user, here=here)
    return noted_all


def test_who_came_and_who_went() -> None:
    noted = changes(("bob", True), ("ann", True), ("dan", False), ("cid", False))
    assert len(noted) == 4
    both = Diff(["ann", "bob"], ["cid", "dan"])
    assert noted.pop(10, BYTES) == (both, both)
    assert not noted
    assert noted.pop(10, BYTES) == (Diff([], []), Diff([], []))


def test_who_came_and_went_is_no_news() -> None:
    assert changes(("ann", True), ("ann", False)).pop(10, BYTES) == (Diff([], []), Diff([], ["ann"]))


def test_who_went_and_came_is_no_news() -> None:
    assert changes(("ann", False), ("ann", True)).pop(10, BYTES) == (Diff([], []), Diff(["ann"], []))


def test_said_twice() -> None:
    both = Diff(["ann"], [])
    assert changes(("ann", True), ("ann", True)).pop(10, BYTES) == (both, both)


def test_those_that_changed_first_are_taken_first() -> None:
    noted = changes(("dan", True), ("ann", True), ("dan", False), ("bob", True))
    assert noted.pop(2, BYTES) == (Diff(["ann"], []), Diff(["ann"], ["dan"]))
    assert noted.pop(2, BYTES)[0] == Diff(["bob"], [])
    assert not noted


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["step", "look", "take"])), max_size=40), st.integers(1, 5)
)
def test_everybody_knows_in_the_end(steps: list[tuple[int, str]], limit: int) -> None:
    """The truth flips; one knows it from the start, and by the net changes; another looked once, and knows the ends."""
    truth: set[str] = set()
    known: set[str] = set()
    looked: set[str] | None = None
    noted = Changes()

    def take() -> None:
        net, whole = noted.pop(limit, BYTES)
        assert not known & set(net.joined), "nobody joins who was known to be there"
        assert known >= set(net.left), "nobody leaves who was not"
        known.update(net.joined)
        known.difference_update(net.left)
        if looked is not None:
            looked.update(whole.joined)
            looked.difference_update(whole.left)

    for number, what in steps:
        if what == "take":
            take()
        elif what == "look":
            looked = set(truth)
        else:
            user = str(number)
            truth ^= {user}
            noted.note(user, here=user in truth)
    while noted:
        take()
    assert known == truth
    assert looked is None or looked == truth


def shown(data: bytes, *, anew: bool = False) -> dict[str, Shown]:
    return {"ann": Shown(data, anew)}


def test_what_one_who_came_shows_is_told_with_it() -> None:
    noted = changes(("ann", True))
    noted.show("ann", Shown(b"1"))
    assert len(noted) == 1
    both = Diff(["ann"], [], shown(b"1"))
    assert noted.pop(10, BYTES) == (both, both)
    assert not noted


def test_one_who_came_and_shows_nothing_is_told_as_that_to_those_alone_who_may_have_known_it() -> None:
    noted = changes(("ann", True))
    noted.show("ann", Shown(b""))
    assert noted.pop(10, BYTES) == (Diff(["ann"], []), Diff(["ann"], [], shown(b"")))


def test_one_who_went_and_came_back_is_no_news_but_what_it_shows_is() -> None:
    noted = changes(("ann", False), ("ann", True))
    noted.show("ann", Shown(b""))
    assert noted.pop(10, BYTES) == (Diff([], [], shown(b"")), Diff(["ann"], [], shown(b"")))


def test_what_changed_alone_is_no_coming() -> None:
    noted = changes()
    noted.show("ann", Shown(b"1", anew=True))
    noted.show("ann", Shown(b"2", anew=True))
    assert len(noted) == 1
    both = Diff([], [], shown(b"2", anew=True))
    assert noted.pop(10, BYTES) == (both, both)


def test_one_who_is_gone_shows_nothing() -> None:
    noted = changes()
    noted.show("ann", Shown(b"1", anew=True))
    noted.note("ann", here=False)
    assert noted.pop(10, BYTES) == (Diff([], ["ann"]), Diff([], ["ann"]))


def test_no_more_bytes_are_told_at_once_than_may_be_but_one_user_always() -> None:
    noted = changes(("ann", True), ("bob", True))
    for user in ("ann", "bob", "cid"):
        noted.show(user, Shown(b"12345"))
    told = [noted.pop(10, 9)[1] for _ in range(3)]
    assert [(diff.joined, [*diff.shown]) for diff in told] == [(["ann"], ["ann"]), (["bob"], ["bob"]), ([], ["cid"])]
    assert not noted
    noted.show("ann", Shown(b"1" * 20))
    assert noted.pop(10, 9)[0].shown == {"ann": Shown(b"1" * 20)}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["step", "show", "look", "take"])), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_everybody_sees_what_is_shown_in_the_end(steps: list[tuple[int, str]], limit: int, size: int) -> None:
    """As above: `known` by the net changes, `looked` by the ends."""
    truth: dict[str, bytes] = {}
    known: dict[str, bytes] = {}
    looked: dict[str, bytes] | None = None
    noted = Changes()

    def tell(who: dict[str, bytes], diff: Diff) -> None:
        for user in diff.left:
            who.pop(user, None)
        for user in diff.joined:
            who.setdefault(user, b"")
        who.update({user: each.data for user, each in diff.shown.items()})

    def take() -> None:
        net, whole = noted.pop(limit, size)
        tell(known, net)
        if looked is not None:
            tell(looked, whole)

    for number, (user_number, what) in enumerate(steps):
        user = str(user_number)
        if what == "take":
            take()
        elif what == "look":
            looked = dict(truth)
        elif what == "show" and user in truth:
            truth[user] = b"%d" % number if number % 3 else b""
            noted.show(user, Shown(truth[user], anew=True))
        elif what == "step" and user in truth:
            del truth[user]
            noted.note(user, here=False)
        elif what == "step":
            truth[user] = b"%d" % number if number % 2 else b""
            noted.note(user, here=True)
            noted.show(user, Shown(truth[user]))
    while noted:
        take()
    assert known == truth
    assert looked is None or looked == truth
