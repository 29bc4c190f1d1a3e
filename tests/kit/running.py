"""A real `hubbub serve` in a process of its own, for tests that need a server.

    with Served("main:app", "--workers", "3", cwd=tmp_path) as server:
        httpx.get(server.url)

It is ready when a GET is answered and every worker has started. It fails with what the server printed. What is still
there after the end, a worker or a Valkey, is killed and fails the test.
"""

import contextlib
import os
import re
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import psutil

from tests.kit import preloaded
from tests.kit.complaints import COMPLAINTS

# A slow machine that runs other things besides is no failure of the server's.
START = 60.0
STOP = 30.0

#: The console script of the environment that runs the tests: what a user types.
HUBBUB = str(Path(sysconfig.get_path("scripts"), "hubbub"))

T = TypeVar("T")

_START_LINE = re.compile(r"^Hubbub serves (?P<what>.+) at (?P<url>http://\S+) \((?P<workers>\d+) worker", re.MULTILINE)
_VALKEY = re.compile(r"embedded Valkey, process (\d+)")


def clean_environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment without `HUBBUB_…`, with changes; None removes a variable."""
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("HUBBUB_")}
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not yet waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Served:
    """`hubbub serve ARGS` on a free port of the loopback, in a session (and so a process group) of its own.

    args: as on the command line; `--port 0` is added where there is none.
    env: changes to the environment, from which all `HUBBUB_…` were taken.
    cwd: where it runs, and so where `.env` and the application are found; default an empty directory.
    ready: the path that is asked until it answers, with any status; None waits for the start line only. Above the
        level info nothing tells when the other workers have started, so only this one answer is waited for.
    stdin: a descriptor, default none.
    """

    def __init__(
        self,
        *args: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        ready: str | None = "/",
        stdin: int | None = None,
    ) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="served-")
        self.log = Path(self._own.name, "output")
        self._left: set[int] = set()
        self._printed: str | None = None
        quiet = {"warning", "error", "critical"}
        self._quiet = bool(quiet & {*args, (env or {}).get("HUBBUB_LOG_LEVEL")})
        port = () if any(arg.partition("=")[0] == "--port" for arg in args) else ("--port", "0")
        empty = Path(self._own.name, "empty")
        empty.mkdir()
        with self.log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
            self.process = preloaded.start(
                [HUBBUB, "serve", *args, *port],
                stdin=nothing.fileno() if stdin is None else stdin,
                stdout=output.fileno(),
                stderr=output.fileno(),
                env=clean_environment({"PYTHONUNBUFFERED": "1", **(env or {})}),
                cwd=cwd or empty,
            )
        self.pid = self.process.pid
        self._source = COMPLAINTS.watch("hubbub serve", lambda: self.output)
        try:
            self._wait_until_ready(ready)
        except BaseException:
            self.close()
            raise

    url: str
    """Without a slash at the end: `http://127.0.0.1:54321`."""
    count: int
    """How many workers it said it has."""

    @property
    def ws(self) -> str:
        """The same address for WebSockets: `ws://127.0.0.1:54321`."""
        return "ws" + self.url.removeprefix("http")

    @property
    def output(self) -> str:
        """All that it printed so far, and after the end all that it ever printed."""
        return self._printed if self._printed is not None else self.log.read_text(errors="replace")

    @property
    def valkey(self) -> int | None:
        """The process of the embedded Valkey, where there is one."""
        said = _VALKEY.search(self.output)
        return int(said[1]) if said else None

    def workers(self) -> list[int]:
        """The processes that serve, oldest first; with one worker and no --reload it is the command itself."""
        children = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline()):
                        children.append((child.create_time(), child.pid))
        return [pid for _, pid in sorted(children)] or ([self.pid] if alive(self.pid) else [])

    def descendants(self) -> set[int]:
        """Every process it has started and that still runs, Python's resource tracker included."""
        try:
            return {child.pid for child in psutil.Process(self.pid).children(recursive=True) if alive(child.pid)}
        except psutil.NoSuchProcess:
            return set()

    def send(self, number: int) -> None:
        """To the command alone, as `kill` does."""
        self._left |= self.descendants()
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """SIGINT to the whole group, as Ctrl-C in a terminal does."""
        self._left |= self.descendants()
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to the command alone; its workers and its Valkey have to notice."""
        self.send(signal.SIGKILL)
        self.process.wait(STOP)

    def wait(self, within: float = STOP) -> int:
        """The exit code, once it has ended by itself or by `send`."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within:g} s\n{self.output}") from None

    def stop(self, number: int = signal.SIGTERM, within: float = STOP) -> int:
        """End it in order; the exit code. A second call returns the same."""
        if self.process.poll() is None:
            self.send(number)
        return self.wait(within)

    def close(self) -> list[int]:
        """End it by any means; the processes that outlived it and had to be killed. Its files are removed."""
        self._left |= self.descendants()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        deadline = time.monotonic() + STOP
        while any(alive(pid) for pid in self._left) and time.monotonic() < deadline:
            time.sleep(0.02)
        outlived = sorted(pid for pid in self._left if alive(pid))
        for pid in outlived:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._printed = self.output
        self._own.cleanup()
        COMPLAINTS.ended(self._source)
        return outlived

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outlived = self.close()
        if error is not None:
            error.add_note(f"the server printed:\n{self.output}")
        else:
            assert not outlived, f"outlived the server: {outlived}\n{self.output}"

    def _wait_until_ready(self, ready: str | None) -> None:
        line = self._until(lambda: _START_LINE.search(self.output), "no start line")
        self.url, self.count = line["url"], int(line["workers"])
        if ready is not None:
            self._until(self._all_started, f"fewer than {self.count} workers started")
            self._until(lambda: self._answers(ready), f"no answer to GET {ready}")

    def _all_started(self) -> bool:
        if self._quiet:
            return True
        # uvicorn's two ways to say that the application is up, both at the level info.
        output = self.output
        started = output.count("Application startup complete.") + output.count("lifespan' protocol appears unsupported")
        return started >= self.count

    def _answers(self, path: str) -> bool:
        try:
            return httpx.get(self.url + path, timeout=START, trust_env=False).status_code != 503
        except httpx.TransportError:
            return False

    def _until(self, condition: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + START
        while not (value := condition()):
            code = self.process.poll()
            if code is not None and not (value := condition()):
                raise AssertionError(f"hubbub serve ended with exit code {code}: {what}\n{self.output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} within {START:g} s\n{self.output}")
            time.sleep(0.02)
        return value
