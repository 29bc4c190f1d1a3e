"""For how long Python's garbage collector holds everything up: it says so itself, at the begin and the end of each."""

import gc
import time
from typing import Any

from hubbub.ports.metrics import Metrics, Observed


class GCPauses:
    """Between `start` and `stop`. A process has one collector: each hub in it sees the pauses of all."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began: float | None = None

    def start(self) -> None:
        gc.callbacks.append(self._told)

    def stop(self) -> None:
        """Also where it never started."""
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)

    def _told(self, phase: str, info: dict[str, Any]) -> None:
        if not info["generation"]:
            return  # there are very many of these, and none is felt
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        elif self._began is not None:
            self._metrics.observe(Observed.GC_PAUSE, now - self._began)
            self._began = None
