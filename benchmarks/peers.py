"""The servers that are compared, and how the peers come onto this machine.

Versions are pinned in `peers/requirements.txt` and `peers/package-lock.json`. Python's servers run as their users would
run them well: uvicorn with uvloop and httptools, one worker, no access log; nobody compresses.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import WORK, Command

PEERS = Path(__file__).parent / "peers"
PYTHON = WORK / "python/bin/python"
NODE = WORK / "node"

SECRET = "signs the tokens of a benchmark on loopback"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server and how it is spoken to: `dialect` is a name that `benchmarks.dialects.dialect` knows."""

    key: str
    title: str
    command: Command
    dialect: str = "relay"


def ours(
    key: str = "ours", title: str = "Hubbub", *, dialect: str = "ours", workers: int = 1, **environment: str
) -> Contestant:
    """Hubbub by `hubbub serve`; `environment` are further variables of the server."""
    command = [str(Path(sys.executable).parent / "hubbub"), "serve", "benchmarks.ours:app", "--port", "{port}"]
    command += ["--workers", str(workers), "--log-level", "warning"]
    return Contestant(
        key, title, Command(command, {"HUBBUB_SECRET": SECRET, **environment}, ready="/health/ready"), dialect
    )


def without_accelerator(*, dialect: str = "ours") -> Contestant:
    return ours("ours-python", "Hubbub, without the accelerator", dialect=dialect, HUBBUB_ACCELERATOR="0")


def with_middleware(*, dialect: str = "ours") -> Contestant:
    return ours("ours-held", "Hubbub, with middleware of the application's", dialect=dialect, BENCH_MIDDLEWARE="1")


def manager() -> Contestant:
    return Contestant("manager", f"FastAPI {_python('fastapi')}, ConnectionManager", _uvicorn("fastapi_manager"))


def broadcaster() -> Contestant:
    return Contestant(
        "broadcaster", f"Starlette + broadcaster {_python('broadcaster')}", _uvicorn("starlette_broadcaster")
    )


def litestar() -> Contestant:
    return Contestant("litestar", f"Litestar {_python('litestar')} channels", _uvicorn("litestar_channels"))


def channels() -> Contestant:
    return Contestant("channels", f"Django Channels {_python('channels')}", _uvicorn("django_channels"))


def python_socketio() -> Contestant:
    title = f"python-socketio {_python('python-socketio')}"
    return Contestant("python-socketio", title, _uvicorn("python_socketio"), "socketio")


def fastapi_bare(dialect: str) -> Contestant:
    """`dialect`: echo or accept."""
    return Contestant("fastapi", f"FastAPI {_python('fastapi')}, bare {dialect}", _uvicorn("fastapi_bare"), dialect)


def socketio_node() -> Contestant:
    command = Command(["node", str(NODE / "socketio_node.js"), "{port}"], ready="/socket.io/")
    return Contestant("socketio", f"Socket.IO {_node('socket.io')} on Node", command, "socketio")


def ws_node(dialect: str = "relay") -> Contestant:
    command = Command(["node", str(NODE / "ws_node.js"), "{port}"])
    return Contestant("ws", f"ws {_node('ws')} on Node{_bare(dialect)}", command, dialect)


def bun(dialect: str = "relay") -> Contestant:
    command = Command([str(bun_program()), str(NODE / "bun_publish.js"), "{port}"])
    return Contestant("bun", f"Bun {_node('bun')}{_bare(dialect)}", command, dialect)


def bun_program() -> Path:
    """The program itself: the package's own launcher is a script that npm may be told not to make."""
    found = sorted((NODE / "node_modules/@oven").glob("bun-*/bin/bun"))
    return found[0] if found else NODE / "node_modules/.bin/bun"


def install() -> None:
    """Bring the peers into `.work`, unless they are there in these versions. Raises SystemExit with a sentence."""
    _once("python", [PEERS / "requirements.txt"], _install_python)
    _once("node", [PEERS / "package.json", PEERS / "package-lock.json"], _install_node)
    for script in PEERS.glob("*.js"):
        # Node looks for packages beside the script.
        shutil.copy(script, NODE)


def _install_python() -> None:
    venv.create(WORK / "python", with_pip=True, clear=True)
    _run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", PEERS / "requirements.txt"])


def _install_node() -> None:
    if not shutil.which("npm"):
        raise SystemExit("The peers on Node and Bun come by npm, which is not here: install Node 20 or newer.")
    NODE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PEERS / name, NODE)
    # Nothing here needs to be built: bufferutil brings its binaries, and Bun's is started where it lies.
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], cwd=NODE)


def _once(what: str, files: Sequence[Path], install: Callable[[], None]) -> None:
    stamp = WORK / f"{what}.installed"
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing the {what} peers into {WORK.name}/ …", flush=True)
    WORK.mkdir(parents=True, exist_ok=True)
    install()
    stamp.write_text(wanted)


def _run(command: Sequence[str | Path], cwd: Path | None = None) -> None:
    done = subprocess.run(list(command), cwd=cwd, check=False)
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} could not install the peers (exit code {done.returncode}).")


def _uvicorn(module: str) -> Command:
    command = [str(PYTHON), "-m", "uvicorn", f"{module}:app", "--app-dir", str(PEERS), "--host", "127.0.0.1"]
    command += ["--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false"]
    command += ["--no-access-log", "--log-level", "warning"]
    return Command(command)


def _bare(dialect: str) -> str:
    return "" if dialect == "relay" else f", bare {dialect}"


def _python(name: str) -> str:
    for line in (PEERS / "requirements.txt").read_text().splitlines():
        if line.startswith(f"{name}=="):
            return line.partition("==")[2]
    raise KeyError(name)


def _node(name: str) -> str:
    version: str = json.loads((PEERS / "package.json").read_text())["dependencies"][name]
    return version
