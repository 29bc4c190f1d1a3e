"""What a connection shows, and what is kept of it."""

import pytest

from hubbub import InvalidMessage, User
from hubbub.delivery.registry import Registry
from hubbub.rooms.presences import Presences
from hubbub.types import RoomName
from tests.kit.one_tracker import OneTracker
from tests.kit.recipients import Reader, Turn


async def test_nothing_is_kept_of_one_whose_authenticator_shows_more_by_now_than_it_may() -> None:
    """It was judged when it came; the mapping is the application's, and may have grown since."""
    s = OneTracker()
    presences = Presences(Registry(), s.showing, s.presence, limit=20)
    profile = {"name": "ann"}
    member = Reader("ann", Turn())
    member.user = User("ann", presence=profile)
    profile["about"] = "x" * 100
    with pytest.raises(InvalidMessage):
        presences.begin(member, RoomName("r"))
    assert len(presences) == 0
