"""Options that cannot work together are refused where they are given, by the names of both."""

import re
from collections.abc import Callable

import pytest

from hubbub import ConfigurationError, History, Hub, Limits

BOTH = re.compile(r"Limits\.payload is 900, more than two thirds of Limits\.outbox, 1000")
CLOSE = Limits(payload=900, outbox=1000)
KEEP = History(size=1, ttl=1)


def inbox() -> None:
    Hub(limits=CLOSE, inbox=KEEP)


def room() -> None:
    @Hub(limits=CLOSE).rooms("a", history=KEEP)
    async def anybody() -> bool:
        return True


@pytest.mark.parametrize("declare", [inbox, room])
def test_what_is_kept_and_could_not_be_handed_out(declare: Callable[[], None]) -> None:
    with pytest.raises(ConfigurationError, match=BOTH):
        declare()


def test_where_nothing_is_kept_a_message_may_be_as_large_as_an_outbox() -> None:
    @Hub(limits=CLOSE).rooms("a", history=False)
    async def anybody() -> bool:
        return True
