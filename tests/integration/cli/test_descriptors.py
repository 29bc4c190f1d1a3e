"""Every client is a descriptor, and the soft limit is often 1,024."""

import resource

import psutil
import pytest

from tests.kit.running import Served


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_takes_as_many_as_the_system_allows(workers: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = Served("--dev", "--workers", workers)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with server:
        for pid in (server.pid, *server.workers()):
            assert psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
