"""Which topics are to be read though nothing came: looked at once a second, for all that keep history.

What is missing at the end of a topic shows by nothing, so one in which nothing was heard for 25 seconds is read, as
is one that could not be caught up with. One that cannot be read for 30 seconds although the broker is there is given
up: its members are sent away, to come back where it can be read.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hubbub.history.topic import TopicHistory
from hubbub.types import Topic


class Found(NamedTuple):
    to_read: list[Topic]
    given_up: list[Topic]


def check(topics: Iterable[tuple[Topic, TopicHistory]], *, ready: bool) -> Found:
    """A second is over. `ready`: the broker is there."""
    found = Found([], [])
    for topic, history in topics:
        due = history.check(ready=ready)
        if due.read:
            found.to_read.append(topic)
        if due.give_up:
            found.given_up.append(topic)
    return found
