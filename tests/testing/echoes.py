"""A server that echoes, and a client of it that waits for what it is owed."""

import socket
import threading
from contextlib import suppress

from hubbub.testing.proxy import Proxy


class Server:
    """Echoes, and remembers how its connections ended."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._listening = socket.socket(family)
        self._listening.bind(address)
        self._listening.listen()
        self.ends: list[str] = []
        self.accepted = 0
        self.target = address if isinstance(address, str) else f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.accepted += 1
                self._threads.append(threading.Thread(target=self._echo, args=(client,), daemon=True))
                self._threads[-1].start()

    def _echo(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
                self.ends.append("FIN")
            except OSError:
                self.ends.append("RST")

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)


def connected(proxy: Proxy, seconds: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds)


def silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)
    return False


def exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        assert more, "it ended too early"
        data += more
    return data
