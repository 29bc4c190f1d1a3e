"""Net and end: whoever knew who was there before knows it afterwards, and so does one who looked in between."""

from hypothesis import given
from hypothesis import strategies as st

from hubbub.presence.changes import Changes, Diff


def changes(*noted: tuple[str, bool]) -> Changes:
    noted_all = Changes()
    for user, here in noted:
        noted_all.note(user, here=here)
    return noted_all


def test_who_came_and_who_went() -> None:
    noted = changes(("bob", True), ("ann", True), ("dan", False), ("cid", False))
    assert len(noted) == 4
    both = Diff(["ann", "bob"], ["cid", "dan"])
    assert noted.pop(10) == (both, both)
    assert not noted
    assert noted.pop(10) == (Diff([], []), Diff([], []))


def test_who_came_and_went_is_no_news() -> None:
    assert changes(("ann", True), ("ann", False)).pop(10) == (Diff([], []), Diff([], ["ann"]))


def test_who_went_and_came_is_no_news() -> None:
    assert changes(("ann", False), ("ann", True)).pop(10) == (Diff([], []), Diff(["ann"], []))


def test_said_twice() -> None:
    both = Diff(["ann"], [])
    assert changes(("ann", True), ("ann", True)).pop(10) == (both, both)


def test_those_that_changed_first_are_taken_first() -> None:
    noted = changes(("dan", True), ("ann", True), ("dan", False), ("bob", True))
    assert noted.pop(2) == (Diff(["ann"], []), Diff(["ann"], ["dan"]))
    assert noted.pop(2)[0] == Diff(["bob"], [])
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
        net, whole = noted.pop(limit)
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
