"""nginx and HAProxy before our servers, with the configuration of the page on deploying, word for word.

    with Nginx(tmp_path, ["127.0.0.1:8000"]) as proxy, Tab(proxy.ws, token="ann") as tab: ...

What is put in are the places: where it listens, where its certificate is, where the workers are. Each must be found in
the text, once. Both take several workers, and `reload` themselves as their service would.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from tests.docs.pages import blocks
from tests.kit.certificates import make_certificate
from tests.kit.valkey import free_port
from tests.kit.waiting import wait_for

PAGE = "docs/howto/deploy.md"


class Proxy:
    program: str
    reloading: int

    def __init__(self, directory: Path, workers: Sequence[str], *, tls: bool = True) -> None:
        """`workers`: `host:port` of each. Without `tls` it speaks plain HTTP.

        Where it is not installed the test is skipped.
        """
        self.binary = shutil.which(self.program)
        if self.binary is None:
            missing = f"no {self.program} on this machine: what the page says of it was not tried (install it)"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
        self.directory = directory
        self.port = free_port()
        self.trust: ssl.SSLContext | None = None
        self.certificate: tuple[Path, Path] | None = None
        if tls:
            self.certificate = make_certificate(directory)
            self.trust = ssl.create_default_context(cafile=str(self.certificate[0]))
        [text] = blocks(PAGE, self.program)
        self.process = self._start(self._placed(text, workers))

    def _placed(self, text: str, workers: Sequence[str]) -> str:
        raise NotImplementedError

    def _start(self, text: str) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http{'s' if self.trust else ''}://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws{'s' if self.trust else ''}://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def reload(self) -> None:
        """As `systemctl reload`: returns when new processes serve. The old ones keep the sockets they have."""
        before = self._served_by()
        self.process.send_signal(self.reloading)
        wait_for(lambda: self._served_by() - before, what=f"{self.program} has reloaded: {self.said}")

    def stop(self) -> None:
        if self.process.poll() is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.terminate()
            self.process.wait(20)
            for child in psutil.wait_procs(family, timeout=10)[1]:
                child.kill()

    def _served_by(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        assert self.binary is not None
        with (self.directory / "log").open("wb") as log:
            return subprocess.Popen([self.binary, *arguments], stdout=log, stderr=log, start_new_session=True)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.said
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        try:
            wait_for(self._listens, what=f"{self.program} listens")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"{self.program} said:\n{self.said}")


class Nginx(Proxy):
    program = "nginx"
    reloading = signal.SIGHUP

    def _placed(self, text: str, workers: Sequence[str]) -> str:
        text = _put(text, "server 127.0.0.1:8000;", "\n    ".join(f"server {worker};" for worker in workers))
        if self.certificate is None:
            text = _put(text, "listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
            text = _put(text, "ssl_certificate /etc/ssl/app.pem;", "")
            return _put(text, "ssl_certificate_key /etc/ssl/private/app.key;", "")
        text = _put(text, "listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        text = _put(text, "/etc/ssl/app.pem", str(self.certificate[0]))
        return _put(text, "/etc/ssl/private/app.key", str(self.certificate[1]))

    def _start(self, text: str) -> subprocess.Popen[bytes]:
        (self.directory / "app.conf").write_text(text)
        temporary = " ".join(f"{kind}_temp_path {kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;" if os.geteuid() == 0 else ""  # who may read what is in this directory
        main = self.directory / "nginx.conf"
        main.write_text(
            f"daemon off; pid nginx.pid; worker_processes 1; {user}\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; client_body_temp_path body; {temporary} include app.conf; }}\n"
        )
        return self._run("-p", str(self.directory), "-c", str(main), "-e", "stderr")


class HAProxy(Proxy):
    program = "haproxy"
    reloading = signal.SIGUSR2

    def _placed(self, text: str, workers: Sequence[str]) -> str:
        servers = [f"server worker{number} {worker} check inter 2s" for number, worker in enumerate(workers, 1)]
        text = _put(text, "server worker1 127.0.0.1:8000 check inter 2s", "\n    ".join(servers))
        where = "bind :443 ssl crt /etc/ssl/private/app-with-key.pem"
        if self.certificate is None:
            return _put(text, where, f"bind 127.0.0.1:{self.port}")
        both = self.directory / "app-with-key.pem"
        both.write_bytes(b"".join(part.read_bytes() for part in self.certificate))
        return _put(text, where, f"bind 127.0.0.1:{self.port} ssl crt {both}")

    def _start(self, text: str) -> subprocess.Popen[bytes]:
        main = self.directory / "haproxy.cfg"
        main.write_text(text)
        return self._run("-W", "-db", "-f", str(main))


def _put(text: str, place: str, there: str) -> str:
    assert text.count(place) == 1, f"the page has {place!r} {text.count(place)} times"
    return text.replace(place, there)
