"""What a run has counted, and the messages it still waits for."""

from dataclasses import dataclass, field

from hubbub.loadtest.histogram import Histogram


class Message:
    """One that was sent, until every member has it. `sent` is in nanoseconds of the clock; `left` are the members."""

    __slots__ = ("counted", "left", "sent")

    def __init__(self, sent: int, left: int, *, counted: bool) -> None:
        self.sent = sent
        self.left = left
        self.counted = counted


@dataclass(slots=True)
class Counts:
    """What a run has counted. Messages sent while warming up are in `arrived`, `received` and the errors only."""

    arrived: int = 0
    """Deliveries, each once."""
    latency: Histogram = field(default_factory=Histogram)
    duplicate: int = 0
    out_of_order: int = 0
    unexpected: int = 0
    """Deliveries of messages that were never sent, or in another room."""
    last: int = 0
    """When the last counted delivery came."""
    received: int = 0
    """Bytes read, of everything."""
