"""The states of a topic that keeps history, and two tables: what a message does in each, and what a read comes to.

- UNKNOWN: nobody has read where the history ends. What is kept waits for that; what is not kept is passed on.
- CURRENT: everything up to the topic's position was passed on, so what comes is the next, or old, or shows that
  something is missing.
- BEHIND: something is missing, or may be. What comes waits, and the history is read until its end is reached.
"""

from enum import Enum, IntEnum, auto

# Numbers, because a table is asked with them for every message: the hash of an `Enum` is a call of its own.


class State(IntEnum):
    UNKNOWN = auto()
    CURRENT = auto()
    BEHIND = auto()


class Brought(IntEnum):
    """What a message the broker brought is, beside the position of its topic."""

    UNKEPT = auto()
    """History has not got it."""
    NEXT = auto()
    OLD = auto()
    BEYOND = auto()
    """Something between it and the topic's position is missing."""
    OTHER_EPOCH = auto()


class Step(Enum):
    """What is to be done with a message."""

    PASS_ON = auto()
    ADVANCE = auto()
    """Pass it on: the topic stands there now."""
    BEGIN_ANEW = auto()
    """Tell that what came before it under this epoch is unknown, then as ADVANCE."""
    BUFFER = auto()
    IGNORE = auto()
    CATCH_UP = auto()
    """Leave it to the read that finds what is missing."""


TABLE: dict[State, dict[Brought, Step]] = {
    State.UNKNOWN: dict.fromkeys(Brought, Step.BUFFER) | {Brought.UNKEPT: Step.PASS_ON},
    State.CURRENT: {
        Brought.UNKEPT: Step.PASS_ON,
        Brought.NEXT: Step.ADVANCE,
        Brought.OLD: Step.IGNORE,
        Brought.BEYOND: Step.CATCH_UP,
        Brought.OTHER_EPOCH: Step.BEGIN_ANEW,
    },
    State.BEHIND: dict.fromkeys(Brought, Step.BUFFER),
}


class Outcome(Enum):
    """What a read came to."""

    LEARNED = auto()
    """Nobody knew before where the history ends."""
    OVERTAKEN = auto()
    """The topic went on under another epoch meanwhile: the read says nothing of that."""
    OTHER_EPOCH = auto()
    TOO_SHORT = auto()
    """The newest messages do not reach back to where the topic stands: what is between may be lost, or not."""
    PARTIAL = auto()
    """There is more to read."""
    COMPLETE = auto()


AFTER_READ: dict[State, dict[Outcome, State]] = {
    State.UNKNOWN: dict.fromkeys(Outcome, State.CURRENT),
    State.CURRENT: dict.fromkeys(Outcome, State.CURRENT)
    | {Outcome.TOO_SHORT: State.BEHIND, Outcome.PARTIAL: State.BEHIND},
    State.BEHIND: dict.fromkeys(Outcome, State.BEHIND)
    | dict.fromkeys((Outcome.LEARNED, Outcome.OTHER_EPOCH, Outcome.COMPLETE), State.CURRENT),
}
