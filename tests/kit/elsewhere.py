"""A client in a process of its own, and on a network of its own where the machine lets us make one.

For peers that end as no client of ours can: killed, or with a cable that was pulled, when nothing comes any more, no
FIN and no acknowledgement either.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_CLIENT = """
import base64, os, socket, sys, time
host, port, path, *messages = sys.argv[1:]
here = socket.create_connection((host, int(port)))
key = base64.b64encode(os.urandom(16)).decode()
lines = ["GET %s HTTP/1.1" % path, "Host: %s:%s" % (host, port), "Upgrade: websocket", "Connection: Upgrade"]
lines += ["Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13", "", ""]
here.sendall("\\r\\n".join(lines).encode())
assert here.recv(65536).startswith(b"HTTP/1.1 101"), "not let in"
for text in messages:
    data = text.encode()
    here.sendall(bytes([0x81, 0x80 | len(data)]) + bytes(4) + data)
    assert here.recv(65536)
print("there", flush=True)
time.sleep(3600)
"""


@contextlib.contextmanager
def client(
    host: str, port: int, path: str, *messages: str, network: str | None = None
) -> "Iterator[subprocess.Popen[str]]":
    """It has said these, of at most 125 bytes each, and been answered; it says no more, and is killed at the end."""
    command = [sys.executable, "-S", "-c", _CLIENT, host, str(port), path, *messages]
    if network is not None:
        command = ["ip", "netns", "exec", network, *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()


@dataclass
class Network:
    name: str
    host: str
    """Where a server is to listen, to be reached from there."""

    def cut(self) -> None:
        _ip("-n", self.name, "link", "set", "there", "down")


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Beside this machine's, with a cable that can be cut."""
    name = f"hubbub-{os.getpid()}"
    here = f"hb{os.getpid()}"
    third, fourth = divmod(os.getpid() % 16384, 64)
    ours, theirs = (f"10.233.{third}.{4 * fourth + each}" for each in (1, 2))
    _ip("netns", "add", name)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", "there", "netns", name)
        _ip("addr", "add", f"{ours}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "addr", "add", f"{theirs}/30", "dev", "there")
        _ip("-n", name, "link", "set", "there", "up")
        yield Network(name, ours)
    finally:
        subprocess.run(["ip", "link", "del", here], check=False, capture_output=True)
        _ip("netns", "del", name)


@functools.cache
def networks_can_be_made() -> bool:
    """It takes root, and a kernel that grants it. The answer is the same in all processes that ask at once."""
    command = ["unshare", "--net", "--mount", "ip", "link", "add", "here", "type", "veth", "peer", "name", "there"]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
