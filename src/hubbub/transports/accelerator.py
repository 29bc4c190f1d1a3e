"""Bytes to many sockets at once, past the transports: in C where that was built, in Python elsewhere.

Each socket is asked once and none is waited for; the answer names only those that did not take everything. Both
implementations do the same and have the same tests; `protocol/fast_path.py` says which it is.

The caller answers for every descriptor being an open, non-blocking socket of its own at that moment, with nothing
buffered before it. On a descriptor that is something else the C one reports ENOTSOCK, and the Python one would write:
it is `os.write` all the same, because `send` needs ctypes, which is slower, or socket objects, which uvloop has not.
"""

import os
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from errno import EIO
from itertools import repeat
from typing import Final, Literal, TypeAlias

from hubbub.protocol.fast_path import ACCELERATOR
from hubbub.protocol.fast_path import WHY_NOT_C as WHY_NOT_C

_NOT_BYTES = "data must be bytes, which cannot change while they are sent"

Unsent: TypeAlias = list[tuple[int, int]]
"""`(index, bytes taken)` where fewer were taken than offered, 0 by a socket that is full; `(index, -errno)` where the
socket failed. In order of the index; empty where every socket took everything."""

SendAll: TypeAlias = Callable[[Sequence[int], bytes], Unsent]
SendEach: TypeAlias = Callable[[Sequence[int], Sequence[bytes]], Unsent]


def python_send_all(fds: Sequence[int], data: bytes) -> Unsent:
    """Offer `data` to every descriptor, in order.

    Raises TypeError or OverflowError for what is no descriptor and TypeError for what is not bytes, before anything
    is sent.
    """
    array("i", fds)  # refuses what is no descriptor
    if not isinstance(data, bytes):
        raise TypeError(_NOT_BYTES)
    return _offered(zip(fds, repeat(data), strict=False))


def python_send_each(fds: Sequence[int], datas: Sequence[bytes]) -> Unsent:
    """Offer to every descriptor the data at its index, in order; empty data is taken whole.

    Raises ValueError where the lengths differ, and what `send_all` raises, before anything is sent.
    """
    array("i", fds)  # refuses what is no descriptor
    if not all(isinstance(data, bytes) for data in datas):
        raise TypeError(_NOT_BYTES)
    if len(fds) != len(datas):
        raise ValueError(f"{len(fds)} descriptors, but {len(datas)} datas")
    return _offered(zip(fds, datas, strict=True))


def _offered(offers: Iterable[tuple[int, bytes]]) -> Unsent:
    unsent: Unsent = []
    write = os.write
    for index, (fd, data) in enumerate(offers):
        if not data:
            continue
        try:
            taken = write(fd, data)
        except BlockingIOError:
            unsent.append((index, 0))
        except OSError as error:
            unsent.append((index, -(error.errno or EIO)))
        else:
            if taken != len(data):
                unsent.append((index, taken))
    return unsent


DIRECT: Final = sys.platform != "win32"
"""Whether sockets can be written to past their transports at all: on Windows a socket is no descriptor."""

IMPLEMENTATION: Final[Literal["C", "Python"]] = "Python" if ACCELERATOR is None else "C"
send_all: Final[SendAll] = python_send_all if ACCELERATOR is None else ACCELERATOR.send_all
send_each: Final[SendEach] = python_send_each if ACCELERATOR is None else ACCELERATOR.send_each
