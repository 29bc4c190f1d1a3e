"""What this process holds, and when a server holds nothing more of its clients."""

from pathlib import Path

from tests.kit.raw_peers import Both
from tests.kit.waiting import until

MIB = 1024 * 1024


def memory() -> int:
    """Resident bytes of this process."""
    return resident("self")


def resident(pid: int | str) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def gone(server: Both) -> None:
    await until(lambda: not server.connections, "all sockets are gone")
    await until(lambda: not server.address.server.server_state.tasks, "all calls have ended")
    assert not server.endpoints
