"""Any server, by its own command, in a process of its own on a free port of the loopback.

    with commanded(["uvicorn", "main:app", "--port", "{port}"], cwd=tmp_path, env={…}) as server:
        httpx.get(server.url)

For `hubbub serve` there is more in `tests/kit/running.py`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.kit.complaints import COMPLAINTS
from tests.kit.running import clean_environment
from tests.kit.valkey import free_port
from tests.kit.waiting import wait_for

APPLICATION = """
from fastapi import FastAPI
from hubbub import Hub, User
from hubbub.integrations.operations import operations

class Names:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        return User(credential.value)

hub = Hub(auth=Names())

@hub.rooms("tea", presence=True)
async def anybody() -> bool:
    return True

app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
"""
"""For a file: whoever says a name is let in, anybody may join `tea`, and it can be asked whether it is ready."""


@dataclass
class Commanded:
    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    @property
    def ws(self) -> str:
        return "ws" + self.url.removeprefix("http")

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def commanded(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    ready: str = "/health/ready",
    scheme: str = "http",
    client: httpx.Client | None = None,
    after: str = "",
) -> Iterator[Commanded]:
    """`python -m command`, with `{port}` filled in, once GET `ready` says 200; what outlives the block is killed.

    `client`: for a server that is reached in another way, not before it has printed `after`.
    """
    client = client or httpx.Client(trust_env=False)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="commanded-") as own:
        log = Path(own, "output")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=port) for part in command)],
                cwd=cwd,
                env=clean_environment({"PYTHONUNBUFFERED": "1", **(env or {})}),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = Commanded(process, f"{scheme}://127.0.0.1:{port}", log)
        source = COMPLAINTS.watch(command[0], lambda: server.output)
        try:

            def answers() -> bool:
                assert process.poll() is None, server.output
                with contextlib.suppress(httpx.TransportError):
                    return after in server.output and client.get(server.url + ready).status_code == 200
                return False

            wait_for(answers, what=f"{command[0]} is ready")
            yield server
        except BaseException as error:
            error.add_note(f"{command[0]} printed:\n{server.output}")
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            client.close()
            COMPLAINTS.ended(source)
