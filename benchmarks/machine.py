"""The machine: which cores to use, and what a figure has to be read with."""

import os
import platform
import re
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_CPUS = Path("/sys/devices/system/cpu")
_OURS = ("hubbub", "fastapi", "uvicorn", "uvloop", "httptools", "websockets", "pydantic", "redis", "hiredis")


def cores() -> tuple[int, int]:
    """One core for the server and one for the load, not two threads of one core where there is a choice.

    Raises SystemExit with a sentence where there is one core, or no Linux.
    """
    if sys.platform != "linux":
        raise SystemExit("The benchmarks pin processes to cores and read /proc: they run on Linux.")
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise SystemExit("The server and the load need a core each, and this machine gives one.")
    server = free[0]
    others = [core for core in free[1:] if core not in _siblings(server)]
    return server, (others or free[1:])[0]


def raise_file_limit(wanted: int) -> int:
    """How many descriptors this process and its children may have now, at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        # Root may raise the hard limit too; others get as much as they are allowed.
        for limits in ((wanted, max(hard, wanted)), (min(hard, wanted), hard)):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                break
            except (OSError, ValueError):
                continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def describe(bun: Path) -> dict[str, Any]:
    """CPU, kernel and versions, for the report."""
    server, load = cores()
    return {
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "server_core": server,
        "load_core": load,
        "python": platform.python_version(),
        "node": _says("node", "--version").removeprefix("v"),
        "bun": _says(str(bun), "--version"),
        "versions": {name: metadata.version(name) for name in _OURS},
    }


def warn_when_busy() -> str | None:
    """A sentence where something else is using the cores already, which the figures would show."""
    load = os.getloadavg()[0]
    if load < 0.5:
        return None
    return f"The machine is busy (load average {load:.1f}): ratios of one run still compare, single figures do not."


def _siblings(core: int) -> set[int]:
    path = _CPUS / f"cpu{core}/topology/thread_siblings_list"
    try:
        listed = path.read_text().strip()
    except OSError:
        return {core}
    found: set[int] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def cpu() -> str:
    try:
        match = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or platform.machine()


def _says(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "absent"
