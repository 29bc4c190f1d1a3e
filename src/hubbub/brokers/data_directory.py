"""Where an embedded Valkey keeps its data: a directory that one server has at a time, and what became of the last one.

The lock is a file of ours, held by who started the server and by the server itself: where that outlives a parent that
was killed, for a moment or for longer, nobody else writes beside it. Names begin with `hubbub`, so that a directory in
which another Redis keeps its own is left as it is.

What a server was told to keep it hands to the kernel, and to the disk once a second. To be killed takes next to nothing
from it then, and a machine that loses its power takes the last second; streams that went back unseen would give offsets
anew that clients have. So the state says under which boot of the machine a server ran: whoever finds another one has
every history begin a new epoch (`brokers/redis/anew.py`), and clients are told instead of missing something.
"""

import errno
import fcntl
import os
import secrets
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from hubbub.errors import ConfigurationError

#: Where the server works: what it has not finished it leaves there, and there nobody else does.
HOME = "hubbub-aof"
#: Below that, what it keeps.
AOF, AOF_FILE = "aof", "hubbub.aof"
AOF_DIRECTORY, LOG = f"{HOME}/{AOF}", "hubbub-valkey.log"
_LOCK, _STATE, _SECRET = "hubbub.lock", "hubbub.state", "hubbub.secret"
_ENDED = "ended"

#: Seconds for the server of a command that was killed to be gone.
_TAKEN_OVER = 5.0


class DataDirectory:
    """`path` may be relative to the working directory, and begin with `~`. Where it is missing it is made, mode 0700.

    `open` locks it until `close`. What is written into it is readable by its owner alone.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).expanduser().absolute()
        self._lock: int | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def lock(self) -> int:
        """The descriptor that holds the lock, for the server to inherit. Raises RuntimeError before `open`."""
        if self._lock is None:
            raise RuntimeError("the data directory is not open")
        return self._lock

    def open(self, within: float = _TAKEN_OVER) -> None:
        """Waits up to `within` seconds for the server of another command to end.

        Raises ConfigurationError with the reason: it cannot be made or written to, or another server has it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        except FileExistsError:
            raise ConfigurationError(f"{self.path} is not a directory") from None
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}") from None
        try:
            self._take(lock, time.monotonic() + within)
            # A disk that is full, or was mounted for reading only, is found out now and not by the first message.
            self._write(_STATE, self._state())
            for directory in (self.path / HOME, self.path / AOF_DIRECTORY):
                directory.mkdir(mode=0o700, exist_ok=True)
                for leftover in directory.glob("temp-*"):
                    # Of a rewrite during which the server was killed: as much again as all that is kept.
                    leftover.unlink(missing_ok=True)
        except OSError as error:
            os.close(lock)
            raise ConfigurationError(f"{self.path}: {error.strerror}") from None
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        """May be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def may_have_lost(self) -> bool:
        """Whether what was acknowledged may not have come to the disk: its last server did not end in order, and the
        machine was started since; or nobody knows, as of what was copied from elsewhere.
        """
        if not any((self.path / AOF_DIRECTORY).iterdir()):
            return False
        return self._state() not in {_ENDED, f"running {boot()}"}

    def runs(self) -> None:
        """A server has all that is kept. Raises OSError."""
        self._write(_STATE, f"running {boot()}")

    def ended(self) -> None:
        """It has ended in order, and the disk has everything. Raises OSError."""
        self._write(_STATE, _ENDED)

    def secret(self) -> str:
        """One that stays: what development signs tokens with where it was given nothing. Raises OSError."""
        with suppress(FileNotFoundError):
            if kept := (self.path / _SECRET).read_text(errors="replace").strip():
                return kept
        made = secrets.token_urlsafe(32)
        self._write(_SECRET, made)
        return made

    def _take(self, lock: int, until: float) -> None:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                    raise
                if time.monotonic() >= until:
                    raise ConfigurationError(
                        f"{self.path} is in use by another server: each needs a directory of its own"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _state(self) -> str:
        try:
            return (self.path / _STATE).read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, also where the power goes."""
        fresh = self.path / f"{name}.new"
        descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, f"{text}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self.path / name)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def boot() -> str:
    """What names this start of the machine; containers have that of their host. Empty where nothing tells."""
    if sys.platform == "linux":
        with suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    elif sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            asked = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=5).stdout.strip()  # noqa: S603
    return ""
