"""What becomes of the workers' broker that died by itself: one that has its data is started again."""

import logging
import time
from collections import deque
from typing import Protocol

from hubbub.errors import ConfigurationError
from hubbub.ports.logs import Event, fields

logger = logging.getLogger("hubbub.cli")

#: So many deaths within so many seconds are no accident.
_DEATHS, _WITHIN = 3, 60.0


class Watched(Protocol):
    """A process the workers cannot do without."""

    @property
    def alive(self) -> bool: ...

    @property
    def keeps(self) -> bool:
        """Whether it has its data when it is started again."""
        ...

    def start(self) -> None:
        """Raises ConfigurationError."""
        ...


class Revival:
    """To be asked again and again, from the main thread. `broker` None is always there."""

    def __init__(self, broker: Watched | None) -> None:
        self._broker = broker
        self._deaths: deque[float] = deque(maxlen=_DEATHS)

    def is_there(self) -> bool:
        """Perhaps again, which takes as long as it reads what it kept. False where it cannot be, which is told."""
        broker = self._broker
        if broker is None or broker.alive:
            return True
        self._deaths.append(time.monotonic())
        often = len(self._deaths) == _DEATHS and self._deaths[-1] - self._deaths[0] < _WITHIN
        if not broker.keeps or often:
            again = f" {_DEATHS} times within {_WITHIN:.0f} seconds" if broker.keeps else ""
            logger.error(
                "the embedded Valkey ended unexpectedly%s; stopping all workers",
                again,
                extra=fields(Event.EMBEDDED_BROKER_ENDED),
            )
            return False
        logger.warning(
            "the embedded Valkey ended unexpectedly; starting it again with its data",
            extra=fields(Event.EMBEDDED_BROKER_ENDED),
        )
        try:
            broker.start()
        except ConfigurationError as error:
            said = fields(Event.EMBEDDED_BROKER_ENDED)
            logger.error("stopping all workers: %s", error, extra=said)  # noqa: TRY400 - a sentence, and no traceback
            return False
        return True
