"""A Valkey that can be killed, frozen and started again, and keeps what it said it has.

Where it is durable it writes every command to its disk before it answers, so what was acknowledged survives SIGKILL.
"""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from redis import Redis

from hubbub.brokers.embedded import server_binary
from tests.kit.waiting import wait_for

# What is free because its server is down is given to nobody else: pytest's processes have parts of their own, and each
# gives those of its part one after the other.
_PART, _EACH = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8, 1_500
_numbers = itertools.count(random.randrange(_EACH))


def free_port() -> int:
    """One that stays free while its server is down: the system gives those above 32,767 to whoever connects."""
    for number in _numbers:
        port = 20_000 + _EACH * _PART + number % _EACH
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("numbers end")


class Valkey:
    """On a TCP port for the workers and on a Unix socket for us, so that no fault of the way is ours.

    `durable`: every command is on the disk before it is answered. `options` are the server's.
    """

    def __init__(self, directory: Path, *, durable: bool = True, options: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._durable = durable
        self._options = options or {}
        self.port = free_port()
        self.socket = directory / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        # An own connection for each command: one that is kept would be killed, frozen and cut like the others.
        self.admin = Redis(unix_socket_path=str(self.socket), socket_timeout=20, single_connection_client=False)

    def start(self) -> None:
        """Returns when it has loaded what it kept and answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
            "dir": str(self._directory),
            "logfile": str(self._directory / "log"),
            **self._options,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [server_binary(), *arguments], stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 20
        while True:
            with suppress(Exception):
                if self.admin.ping():
                    return
            assert time.monotonic() < deadline, (self._directory / "log").read_text()[-2000:]
            time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.admin.connection_pool.disconnect()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self.admin.close()

    def take_over(self, leader: "Valkey") -> None:
        """Follow it until all that it has is here, and then let it follow. Neither takes writes in between."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        self.admin.execute_command("REPLICAOF", "127.0.0.1", leader.port)
        wait_for(lambda: self.replication("master_link_status") == "up", what="it follows")
        wait_for(lambda: leader.admin.info("replication").get("connected_slaves") == 1, what="it is followed")
        leader.admin.execute_command("FAILOVER", "TO", "127.0.0.1", self.port)
        wait_for(lambda: self.replication("role") == "master", what="it leads")
        wait_for(lambda: leader.replication("role") == "slave", what="the other follows")

    def replication(self, what: str) -> object:
        """What it says of itself in that section of INFO."""
        return self.admin.info("replication").get(what)

    def keys(self, room: str, what: str) -> list[bytes]:
        """The room's keys that end in `what`: `stream`, `meta`."""
        found: list[bytes] = self.admin.keys(f"*:{room}}}:{what}")
        return found
