"""Starts examples, each before and after side by side, on a Valkey of their own; Ctrl-C ends them all."""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from hubbub.brokers.embedded import EmbeddedValkey

EXAMPLES = ("client_id", "notifications", "redis_pubsub")

#: Seconds for a server to start, and to stop.
START, STOP = 60.0, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(EXAMPLES)}; default all")
    parser.add_argument("--port", type=int, default=8001, help="of the first server, the others follow; default 8001")
    parser.add_argument("--workers", type=int, default=2, help="of each server; default 2")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in EXAMPLES]:
        parser.error(f"there is no example {unknown[0]}: {', '.join(EXAMPLES)}")
    signal.signal(signal.SIGTERM, _end)
    with suppress(KeyboardInterrupt):
        run(options.names or EXAMPLES, first=options.port, workers=options.workers)


def run(names: Sequence[str], *, first: int, workers: int) -> NoReturn:
    """Raises SystemExit when one of them has ended."""
    with EmbeddedValkey() as valkey, ExitStack() as stack:
        servers: dict[str, subprocess.Popen[bytes]] = {}
        listening: list[tuple[subprocess.Popen[bytes], int]] = []

        def start(module: str, app: str, port: int, env: Mapping[str, str]) -> None:
            check_free(port)
            options = ["--port", f"{port}", "--workers", f"{workers}", "--log-level", "warning"]
            servers[app] = stack.enter_context(server([*module.split(), app, *options], env))
            listening.append((servers[app], port))

        for at, name in enumerate(names):
            # Each has a database of its own: two applications on one broker would be one.
            url = f"{valkey.url}?db={at}"
            env = {"REDIS_URL": url, "HUBBUB_BROKER": url, "SECRET": secrets.token_urlsafe(32)}
            start("uvicorn", f"examples.{name}.before:app", first + 2 * at, env)
            start("hubbub serve", f"examples.{name}.after:app", first + 2 * at + 1, env)
        for process, port in listening:
            wait_for(process, port)
        for at, name in enumerate(names):
            before, after = (f"http://127.0.0.1:{first + 2 * at + side}" for side in (0, 1))
            print(f"{name:13} before {before}   after {after}", flush=True)
        print("Open each of them in two tabs. Ctrl-C ends them.", flush=True)
        try:
            while True:
                for app, process in servers.items():
                    if process.poll() is not None:
                        raise SystemExit(f"{app} has ended")
                time.sleep(0.1)
        finally:
            # All at once, because each takes its time to send its clients away.
            for process in servers.values():
                process.terminate()


@contextmanager
def server(module: Sequence[str], env: Mapping[str, str]) -> Generator[subprocess.Popen[bytes], None, None]:
    command = [sys.executable, "-m", *module]
    process = subprocess.Popen(command, env={**os.environ, **env}, cwd=Path(__file__).parents[1])
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise SystemExit(f"port {port} cannot be used ({error.strerror}): choose others with --port") from None


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Until it listens. Raises SystemExit where it has ended or does not within the time."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"the server on port {port} did not start")


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
