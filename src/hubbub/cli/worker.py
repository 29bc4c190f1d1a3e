"""The processes that serve: what a worker does besides serving, and who looks after several of them.

Guaranteed: a worker ends itself when its parent is gone (uvicorn's own go on for ever, holding the port), and an
application that cannot be imported is one line in the parent and no restart. Both hang on `Config.load`, the first
thing uvicorn does in a worker of every kind: started, restarted, reloaded. A supervisor of our own lost: it would
have been uvicorn's again, without its rolling restart on SIGHUP.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import ImportFromStringError, import_from_string
from uvicorn.supervisors import ChangeReload, Multiprocess

from hubbub.cli.revival import Revival, Watched
from hubbub.errors import ConfigurationError
from hubbub.options import Limits
from hubbub.ports.logs import Event, fields

logger = logging.getLogger("hubbub.cli")

#: What a worker may take beyond drain and grace before it is killed: closing the lifespan has no deadline in uvicorn.
_MARGIN = 5.0
_POLL = 0.2


class Asked(SystemExit):
    """The operator asked for the end, which is no fault of the application that is being imported."""


class WorkerConfig(uvicorn.Config):
    """uvicorn's settings, which travel to each worker.

    `drain`: the window over which a worker's clients leave; `failures`: where a worker says why it could not start.
    """

    def __init__(
        self, application: str, *, drain: float = 0.0, failures: Connection | None = None, **settings: Any
    ) -> None:
        super().__init__(application, **settings)
        self.drain = drain
        self.failures = failures

    def load(self) -> None:
        """Raises ConfigurationError with the reason, or in a worker tells the parent and exits."""
        worker = multiprocessing.parent_process() is not None
        if worker:
            self._end_with_parent()
        try:
            super().load()
        except Exception as error:
            logger.debug("the application cannot be imported", exc_info=error, extra=fields(Event.NOT_IMPORTED))
            failure = ConfigurationError(f'Cannot import "{self.app}": {_reason(error)}')
            if not worker:
                raise failure from error
            self._report(str(failure))
            sys.exit(STARTUP_FAILURE)

    def load_app(self) -> Any:
        """Unlike uvicorn's does not exit: raises what the import raised, for `load` to tell."""
        try:
            return import_from_string(self.app)
        except Asked:
            raise
        except SystemExit as left:
            raise ImportFromStringError(f"it called sys.exit({left.code!r}) while it was imported") from left

    def _report(self, sentence: str) -> None:
        if self.failures is None:
            sys.stderr.write(sentence + "\n")
            return
        # One write of less than PIPE_BUF is atomic, so several workers need no lock.
        self.failures.send_bytes(sentence.encode()[:2000])

    def _end_with_parent(self) -> None:
        threading.Thread(target=_outlive_no_parent, args=(self.patience,), name="parent", daemon=True).start()

    @property
    def patience(self) -> float:
        """Seconds from being told to end until being killed: the last client leaves after half the window."""
        return self.drain / 2 + Limits().closing + (self.timeout_graceful_shutdown or 0) + _MARGIN


class Supervisor(Multiprocess):
    """Several workers and the broker they share. `run` returns when all of them have ended.

    Afterwards `status` is the exit code: 0 ended as asked, 1 the broker died, 2 the application cannot be imported
    (`failure` says why), 3 it was imported and did not start.
    """

    def __init__(self, config: WorkerConfig, sockets: list[socket], *, broker: Watched | None, failures: Connection):
        super().__init__(config, sockets)
        self.status = 0
        self.failure: str | None = None
        self._patience = config.patience
        self._broker = Revival(broker)
        self._failures = failures
        # A closed terminal means the end; without one, SIGHUP is an operator's request for a rolling restart.
        self._terminal = sys.stdin is not None and sys.stdin.isatty()

    def keep_subprocess_alive(self) -> None:
        if not self.should_exit.is_set() and not self._broker.is_there():
            self.status = 1
            self.should_exit.set()
        for process in self.processes:
            # While the parent has the worker's end too, a worker that dies without an answer looks like one that is
            # slow to give it, for as long as the healthcheck lasts.
            process.child_conn.close()
        super().keep_subprocess_alive()

    def handle_hup(self) -> None:
        if self._terminal:
            self.should_exit.set()
        else:
            super().handle_hup()

    def join_all(self) -> None:
        deadline = time.monotonic() + self._patience
        while any(process.exitcode is None for process in self.processes) and time.monotonic() < deadline:
            self._hurry()
            wait([process.process.sentinel for process in self.processes if process.exitcode is None], _POLL)
        for process in self.processes:
            if process.exitcode is None:
                logger.warning(
                    "worker %s did not end within %.0f seconds and was killed",
                    process.pid,
                    self._patience,
                    extra=fields(Event.WORKER_KILLED, pid=process.pid or 0, seconds=self._patience),
                )
                process.process.kill()
            process.process.join()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            self.status = 3
        if self._failures.poll():
            self.status = 2
            self.failure = self._failures.recv_bytes().decode(errors="replace")

    def _hurry(self) -> None:
        """A second signal is for the workers: they end at once."""
        while self.signal_queue:
            if self.signal_queue.pop() in (signal.SIGTERM, signal.SIGINT):
                for process in self.processes:
                    process.process.terminate()


# Which class it is depends on what is installed.
class Reloader(ChangeReload):  # type: ignore[misc, valid-type]
    """One worker that is started again when a file changes, and its broker. `status` is the exit code, 0 or 1."""

    def __init__(
        self, config: WorkerConfig, target: Callable[..., None], sockets: list[socket], *, broker: Watched | None
    ) -> None:
        super().__init__(config, target, sockets)
        self.status = 0
        self._broker = Revival(broker)

    def should_restart(self) -> list[Path] | None:
        if not self.should_exit.is_set() and not self._broker.is_there():
            self.status = 1
            self.should_exit.set()
        changed: list[Path] | None = super().should_restart()
        return changed


def _outlive_no_parent(patience: float) -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    logger.warning(
        "the parent of worker %s is gone; ending", os.getpid(), extra=fields(Event.WORKER_ORPHANED, pid=os.getpid())
    )
    # Not SIGTERM, which takes a while for the clients' sake: whoever starts the command again needs the port.
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(patience)
    os._exit(1)


def _reason(error: BaseException) -> str:
    if isinstance(error, ImportFromStringError):
        return str(error)
    text = " ".join(str(error).split())[:500]
    kind = type(error).__name__
    sentence = f"{kind}: {text}" if text else kind
    if isinstance(error, SyntaxError):
        return sentence
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if Path(frame.filename).is_relative_to(Path.cwd())), frames[-1])
    return f"{sentence} ({frame.filename}, line {frame.lineno})"
