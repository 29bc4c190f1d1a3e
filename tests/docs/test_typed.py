"""Every example that a reader may copy passes mypy and pyright, both strict; so does a use of all that is public."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hubbub import User
from tests.docs import typed

WRONG = """\
from hubbub import Hub, User

async def wrong(hub: Hub) -> None:
    await hub.user(7).send({"type": "x"})


alice = User(id="alice")
"""


def test_every_example_is_typed(tmp_path: Path) -> None:
    """One run of each, at the same time, and with an example that is wrong, so that nobody passes over all of them."""
    written = typed.write(tmp_path)
    assert {"README.md: main.py", "what is public", "docs/howto/miss-nothing.md: its example number 1"} <= {
        *written.values()
    }
    (tmp_path / "wrong.py").write_text(WRONG)
    with ThreadPoolExecutor() as both:
        for said in both.map(lambda check: check(tmp_path), (typed.mypy, typed.pyright)):
            told = typed.named(said, written)
            errors = [line for line in told.splitlines() if "error: " in line]
            assert [line for line in errors if "wrong.py:4" not in line] == [], told
            assert len(errors) == 1, told


def test_a_fragment_is_given_what_its_page_has_told(tmp_path: Path) -> None:
    assert typed.fragment("hub = 1\n", "hub.x\n").splitlines()[1:] == ["hub = 1", "hub.x"]
    awaiting = typed.fragment("", "await one()\nasync with two():\n    pass\n").splitlines()[1:]
    assert awaiting == ["async def fragment() -> None:", "    await one()", "    async with two():", "        pass"]


def test_a_user_is_made_of_plain_strings() -> None:
    user = User("alice")
    assert (user.id, user.claims, user.expires) == ("alice", {}, None)
    assert User(id="alice", claims={"a": 1}, expires=1.0) == user
    assert "claims" not in repr(user)
    assert hash(user) == hash(User("alice"))
