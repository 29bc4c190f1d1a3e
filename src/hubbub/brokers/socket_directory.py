"""A directory for the socket of an embedded server: private, short enough, and gone sooner or later.

It is ours alone and locked while we live. After a SIGKILL it stays, harmless, and the next start removes every
directory whose lock nobody holds; a pid would lie after it was given out again or in another container.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hubbub.errors import ConfigurationError

_PREFIX = "hubbub-valkey-"
#: The longest path a Unix socket can have where it is shortest: 104 bytes with the closing zero (macOS; Linux 108).
_PATH = 103


def make_directory(parent: Path | None) -> tuple[Path, int]:
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
