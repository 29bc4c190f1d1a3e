"""The console script `hubbub`, in a process that has imported what it needs already.

Most of a short command's time, and of a server's start, is the import of FastAPI and Pydantic, and hundreds of tests
start one. So one process imports them once and forks for each: the child gets its arguments, environment, directory
and descriptors, and runs the same script as a shell would. Nothing of ours that reads the environment when it is
imported may be there before: such a command, and every one on a system without pidfd, is started afresh.
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from hubbub.protocol.fast_path import SWITCH

_NUMBER = struct.Struct("!q")
#: Of two threads that ask at once each is heard in one piece.
_ASKING = threading.Lock()
_MODULES = ("bench", "doctor.examine", "publish", "serve", "token", "worker")


class Process:
    """As `subprocess.Popen` of `command`: what our tests use of it."""

    def __init__(self, pid: int, status: socket.socket, command: Sequence[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        self._command = command

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select((self._status,), (), (), timeout)[0]:
                raise subprocess.TimeoutExpired(self._command, timeout or 0)
            self.returncode = _received(self._status)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # Its parent may have reaped it, and not told us yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: int, stdout: int, stderr: int
) -> "Process | subprocess.Popen[bytes]":
    """The script `command[0]` with the arguments that follow, in a session of its own."""
    if SWITCH in env or not hasattr(os, "pidfd_open"):
        return subprocess.Popen(
            command, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    ours, theirs = socket.socketpair()
    told = json.dumps([list(command), dict(env), str(cwd)]).encode()
    with theirs, _ASKING:
        socket.send_fds(_forking(), [_NUMBER.pack(len(told))], [theirs.fileno(), stdin, stdout, stderr])
        _forking().sendall(told)
    return Process(_received(ours), ours, command)


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: str = "", within: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """To its end, with what it printed."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        said.write(stdin.encode())
        said.seek(0)
        process = start(command, env=env, cwd=cwd, stdin=said.fileno(), stdout=out.fileno(), stderr=err.fileno())
        try:
            code = process.wait(within)
        except BaseException:
            process.kill()
            raise
        printed = []
        for file in out, err:
            file.seek(0)
            printed.append(file.read().decode())
        return subprocess.CompletedProcess(list(command), code, *printed)


@functools.cache
def _forking() -> socket.socket:
    """To the process that forks; it ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _received(status: socket.socket) -> int:
    data = status.recv(_NUMBER.size, socket.MSG_WAITALL)
    assert len(data) == _NUMBER.size, "the process that forks has ended"
    number: int = _NUMBER.unpack(data)[0]
    return number


# What runs in the process that forks.


_Script: TypeAlias = tuple[list[str], dict[str, str], str, list[int]]
"""A command, its environment and directory, and its descriptors: the status's, and the three of every process."""


def _fork_for(asking: socket.socket) -> None:
    """Returns in each child, as the script that it shall run, and exits when nobody asks any more."""
    children = selectors.DefaultSelector()
    children.register(asking, selectors.EVENT_READ)
    while True:
        for key, _ in children.select():
            if key.fileobj is not asking:
                _tell_end(children, key)
            elif (script := _fork(asking, children)) is not None:
                return _become(*script)


def _fork(asking: socket.socket, children: selectors.BaseSelector) -> _Script | None:
    """What to run, in the child; None in its parent."""
    head, descriptors, *_ = socket.recv_fds(asking, _NUMBER.size, 4)
    if not head:
        sys.exit()
    command, env, cwd = json.loads(asking.recv(_NUMBER.unpack(head)[0], socket.MSG_WAITALL))
    pid = os.fork()
    if pid == 0:
        _forget(children)
        return command, env, cwd, descriptors
    status = socket.socket(fileno=descriptors[0])
    for descriptor in descriptors[1:]:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        status.sendall(_NUMBER.pack(pid))
    children.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
    return None


def _tell_end(children: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, status = key.data
    children.unregister(key.fileobj)
    os.close(key.fd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError), status:
        status.sendall(_NUMBER.pack(code))


def _forget(children: selectors.BaseSelector) -> None:
    """What the others are watched with is none of a child's."""
    for each in children.get_map().values():
        if each.data is None:
            each.fileobj.close()  # type: ignore[union-attr]
        else:
            os.close(each.fd)
            each.data[1].close()
    children.close()


def _become(command: list[str], env: dict[str, str], cwd: str, descriptors: list[int]) -> None:
    os.setsid()
    status, *standard = descriptors
    os.close(status)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)


if __name__ == "__main__":
    for module in _MODULES:
        __import__(f"hubbub.cli.{module}")
    __import__("hubbub.cli.commands")
    __import__("uvicorn.protocols.http.httptools_impl")
    _fork_for(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_path(sys.argv[0], run_name="__main__")
