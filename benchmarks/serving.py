"""A server under test: started on a core of its own, ready when it answers HTTP, looked into, stopped by its pid."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WORK = Path(__file__).parent / ".work"

_START = 30.0
_STOP = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started. `{port}` in `arguments` is replaced; `ready` is a path that answers with any status."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. Sizes are bytes, times seconds; its children count as the server."""

    pid: int
    port: int

    @property
    def memory(self) -> int:
        """Resident bytes now."""
        return sum(_status(pid, "VmRSS") for pid in _family(self.pid)) * 1024

    @property
    def busy(self) -> float:
        """Processor time used so far."""
        return sum(_processor_time(pid) for pid in _family(self.pid))

    @property
    def descriptors(self) -> int:
        """Open descriptors."""
        return sum(_descriptors(pid) for pid in _family(self.pid))

    def settled(self, *, quiet: float = 2.0, deadline: float = 30.0) -> int:
        """Resident bytes once they have not changed by a hundredth for `quiet` seconds, or at the deadline."""
        until = time.monotonic() + deadline
        last, since = self.memory, time.monotonic()
        while (now := time.monotonic()) < until and now - since < quiet:
            time.sleep(0.2)
            memory = self.memory
            if abs(memory - last) > last / 100:
                last, since = memory, now
        return self.memory


@contextlib.contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """What is started in the block stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def serving(name: str, command: Command, *, cores: set[int]) -> Iterator[Running]:
    """The server on these cores until the block ends. Raises SystemExit with the end of its log where it fails."""
    port = _free_port()
    log = WORK / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        with pinned(cores):
            process = subprocess.Popen(
                [part.replace("{port}", str(port)) for part in command.arguments],
                env={**_environment(), **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait_until_ready(name, process, port, command.ready, log)
            yield Running(process.pid, port)
            if process.poll() is not None:
                raise SystemExit(f"{name} ended while it was measured:\n{_end_of(log)}")
        finally:
            _stop(process)


def _wait_until_ready(name: str, process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{name} did not start:\n{_end_of(log)}")
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=_START)
        try:
            asking.request("GET", path)
            asking.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            asking.close()
    raise SystemExit(f"{name} did not answer within {_START:.0f} s:\n{_end_of(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        # Its workers, where it has any, end with their parent.
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """Ours, without what is set for another Hubbub."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                family += [int(child) for child in (task / "children").read_text().split()]
    return family


def _descriptors(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def _status(pid: int, key: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def _processor_time(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
