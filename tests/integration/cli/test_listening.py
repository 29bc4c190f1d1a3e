"""Where `hubbub serve` listens: unix sockets, TLS, and how long it keeps a connection."""

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect, unix_connect

from tests.integration.cli.conftest import Command
from tests.kit.certificates import make_certificate
from tests.kit.commanded import APPLICATION, commanded
from tests.kit.running import Served
from tests.kit.waiting import wait_for

APP = f"""{APPLICATION}
from fastapi import Request

@app.get("/root")
async def root(request: Request) -> str:
    return request.scope["root_path"]
"""
SERVE = ["hubbub", "serve", "named:app", "--drain", "0"]


@pytest.fixture
def named(tmp_path: Path) -> Path:
    (tmp_path / "named.py").write_text(APP)
    return tmp_path


async def first_message(connecting: Any) -> str:
    async with connecting as socket:
        return str(json.loads(await socket.recv())["type"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket(named: Path, workers: str) -> None:
    path = named / "hub.sock"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(str(path))
    left_over.close()
    client = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)))
    command = [*SERVE, "--uds", str(path), "--workers", workers]
    with commanded(command, cwd=named, client=client, after="Hubbub serves") as server:
        assert f"Hubbub serves named:app at unix:{path} (" in server.output
        assert asyncio.run(first_message(unix_connect(str(path), "ws://x/ws?token=ann"))) == "welcome"
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert not path.exists()


def test_a_unix_socket_in_use_and_a_file_of_anothers_are_left_alone(named: Path, hubbub: Command) -> None:
    path = named / "taken.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        refused = hubbub("serve", "app:app", "--uds", str(path))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == f"Cannot listen at {path}: Address already in use (--uds)\n"
    file = named / "data"
    file.write_text("mine")
    refused = hubbub("serve", "app:app", "--uds", str(file))
    assert refused.stderr == f"Cannot listen at {file}: File exists (--uds)\n"
    assert file.read_text() == "mine"
    refused = hubbub("serve", "app:app", env={"HUBBUB_UDS": str(named / "no" / "such")})
    assert refused.stderr == f"Cannot listen at {named / 'no' / 'such'}: No such file or directory (--uds)\n"


def test_tls_and_a_root_path(named: Path) -> None:
    where, key = make_certificate(named, password="hush")
    trusting = ssl.create_default_context(cafile=where)
    client = httpx.Client(verify=trusting, trust_env=False)
    tls = ["--ssl-certfile", str(where), "--ssl-keyfile", str(key)]
    command = [*SERVE, "--port", "{port}", "--root-path", "/behind", *tls]
    env = {"HUBBUB_SSL_KEYFILE_PASSWORD": "hush"}
    with commanded(command, cwd=named, env=env, scheme="https", client=client) as server:
        assert f"at {server.url} (" in server.output
        assert client.get(server.url + "/root").json() == "/behind"  # the proxy has taken it off
        assert asyncio.run(first_message(connect(f"{server.ws}/ws?token=ann", ssl=trusting))) == "welcome"
        assert "hush" not in server.output


def test_what_is_no_certificate_is_refused_in_one_line(named: Path, hubbub: Command) -> None:
    where, key = make_certificate(named, password="hush")
    tls = ("--ssl-certfile", str(where), "--ssl-keyfile", str(key))
    for args, env, said in (
        (("--ssl-keyfile", str(key)), {}, "needs --ssl-certfile"),
        (("--ssl-certfile", str(named / "none")), {}, "No such file"),
        (tls, {}, "HUBBUB_SSL_KEYFILE_PASSWORD"),
        (tls, {"HUBBUB_SSL_KEYFILE_PASSWORD": "hash"}, "HUBBUB_SSL_KEYFILE_PASSWORD"),
        (("--ssl-certfile", str(named / "app.py")), {}, "not a certificate"),
    ):
        refused = hubbub("serve", "app:app", *args, env={"HUBBUB_PORT": "0", **env})
        assert refused.returncode == 2
        [line] = refused.stderr.splitlines()
        assert line.startswith("--ssl-")
        assert said in line
        assert "hush" not in line
        assert "hash" not in line


def test_how_long_an_idle_connection_is_kept(named: Path) -> None:
    with Served("named:app", "--timeout-keep-alive", "1", cwd=named, ready="/health/ready") as server:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as idle:
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            whole = b""
            while more := idle.recv(4096):
                whole += more
            assert whole.count(b"HTTP/1.1 200") == 1


def test_a_worker_that_has_served_enough_is_replaced(named: Path) -> None:
    args = ("--workers", "2", "--drain", "1", "--limit-max-requests", "40", "--limit-max-requests-jitter", "5")
    with Served("named:app", *args, cwd=named, ready="/health/ready") as server:
        first = set(server.workers())

        def replaced() -> bool:
            httpx.get(server.url + "/health/live", trust_env=False, timeout=30)
            now = set(server.workers())
            return len(now) == 2 and bool(now - first)

        wait_for(replaced, what="a new worker", within=60)
        assert "the server ends by itself" in server.output
        assert "Traceback" not in server.output
