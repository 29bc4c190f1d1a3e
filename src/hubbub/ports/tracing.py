"""What is told to who traces, by those who do the work and know no tracer. None of it waits, and none of it raises.

Nobody traces where no tracer is set up: then there is None of these, and nothing is asked for it.
"""

from collections.abc import Sized
from typing import Any, Protocol

from hubbub.types import Topic


class Outcomes(Protocol):
    """Of the request, the handshake or the publishing that goes on now; nothing happens where there is none."""

    def refused(self, code: str | int) -> None:
        """It was answered with a refusal, which is nobody's failure."""

    def failed(self, error: BaseException) -> None:
        """It came to what nobody meant to raise."""


class Message(Sized, Protocol):
    def is_for(self, target: Any) -> bool: ...


class Deliveries(Protocol):
    def begin(self, topic: Topic, trace: str, message: Message, recipients: Any) -> None:
        """A message is about to be handed to these, as far as it is for them. `trace`: as its envelope has it."""


class Taken(Protocol):
    """Where the span of what a route has taken is kept, and what was current in the route before."""

    span: Any
    outside: Any


class Reading(Protocol):
    """Of a route that reads the messages itself, in its own task."""

    def take(self, taken: Taken) -> None:
        """It was given a message: until it asks for the next, what it does is done for this one."""

    def done(self, taken: Taken) -> None:
        """It asks for the next."""
