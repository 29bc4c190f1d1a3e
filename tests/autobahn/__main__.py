"""Autobahn's test suite against the transports: `python -m tests.autobahn [CASE …]`, which is `make autobahn`.

It says of every case how the server behaved, and prints the table; with `--page` that goes into the documentation. What
was found is kept in `.venv/autobahn/results.json`, so a part can be run again. The exit code is 1 where our transports
do worse in a case than uvicorn's own class.

The suite is for Python 2.7 and gets an environment of its own, `.venv/autobahn`: `PYTHON2` names the interpreter.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = ROOT / ".venv/autobahn"
PAGE = ROOT / "docs/explain/conformance.md"
RESULTS = HOME / "results.json"
OURS, UVICORN = "hubbub.transports.uvicorn:HubbubProtocol", "websockets-sansio"

#: From good to bad: how it answered, and how it ended.
BEHAVIOURS = (
    "INFORMATIONAL",
    "OK",
    "NON-STRICT",
    "UNIMPLEMENTED",
    "FAILED BY CLIENT",
    "UNCLEAN",
    "WRONG CODE",
    "FAILED",
)
BEGIN, END = "<!-- the table: make autobahn -->\n", "<!-- end of the table -->"
GROUPS = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8",
    7: "Closing",
    9: "Limits",
    10: "Fragmented by the peer",
    12: "Compression, by payload",
    13: "Compression, by parameters",
}


@dataclass(frozen=True)
class Agent:
    """A server, and the way to it that is tried."""

    name: str
    path: str
    protocol: str = OURS
    environment: dict[str, str] = field(default_factory=dict)


AGENTS = (
    Agent("taken over", "/taken"),
    Agent("taken over, without the accelerator", "/taken", environment={"HUBBUB_ACCELERATOR": "0"}),
    Agent("any route", "/asgi"),
    Agent("uvicorn's own class", "/asgi", UVICORN),
)


def install() -> None:
    """The suite, where it is not there yet."""
    wanted = (HERE / "requirements.txt").read_text()
    mark = HOME / "installed.txt"
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    python = os.environ.get("PYTHON2", "python2.7")
    if shutil.which(python) is None:
        raise SystemExit(f"there is no {python}: the test suite needs Python 2.7, say where it is with PYTHON2=…")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    # The last that makes environments for it.
    _quietly([*pip, "--target", str(HOME / "virtualenv"), "virtualenv==20.15.1"])
    environment = {**os.environ, "PYTHONPATH": str(HOME / "virtualenv")}
    _quietly([python, "-m", "virtualenv", "--quiet", str(HOME / "venv")], environment)
    _quietly([str(HOME / "venv/bin/python"), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")])
    mark.write_text(wanted)


def _quietly(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def served(agent: Agent) -> Iterator[str]:
    """The address of the server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "uvicorn", "tests.autobahn.application:app", "--ws", agent.protocol]
        command += ["--fd", str(listening.fileno()), "--log-level", "error", "--ws-per-message-deflate", "true"]
        command += ["--timeout-graceful-shutdown", "5"]
        environment = {**os.environ, **agent.environment}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[listening.fileno()])
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}{agent.path}"
        finally:
            server.terminate()
            server.wait(30)


def judged(agent: Agent, cases: Sequence[str]) -> dict[str, str]:
    """How it behaved in each case, and how it closed where that is worse."""
    reports = HOME / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    with served(agent) as url:
        spec = HOME / "spec.json"
        asked = {"outdir": str(reports), "servers": [{"agent": "server", "url": url}], "cases": list(cases)}
        spec.write_text(json.dumps({**asked, "exclude-cases": [], "exclude-agent-cases": {}}))
        command = [str(HOME / "venv/bin/wstest"), "--mode", "fuzzingclient", "--spec", str(spec)]
        with (HOME / "output.txt").open("wb") as output:
            subprocess.run(command, stdout=output, stderr=output, check=True, cwd=HOME)
    found = json.loads((reports / "index.json").read_text())["server"]
    return {case: max((each["behavior"], each["behaviorClose"]), key=BEHAVIOURS.index) for case, each in found.items()}


def numbers(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def table(results: dict[str, dict[str, str]]) -> str:
    """A row for each group of cases, a column for each way: how many passed of how many, and which did not."""
    ways = [agent.name for agent in AGENTS]
    lines = ["| cases | " + " | ".join(ways) + " |", "|---|" + "---|" * len(ways)]
    for group, title in GROUPS.items():
        cells = []
        for way in ways:
            of_group = {case: how for case, how in results.get(way, {}).items() if numbers(case)[0] == group}
            well = sum(how in ("OK", "INFORMATIONAL") for how in of_group.values())
            cells.append(f"{well} of {len(of_group)}" if of_group else "not run")
        lines.append(f"| {group} {title} | " + " | ".join(cells) + " |")
    for behaviour in BEHAVIOURS[2:]:
        cells = []
        for way in ways:
            cases = sorted((case for case, how in results.get(way, {}).items() if how == behaviour), key=numbers)
            cells.append(", ".join(cases) or "none")
        if any(cell != "none" for cell in cells):
            lines.append(f"| {behaviour.lower()} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def worse(results: dict[str, dict[str, str]]) -> list[str]:
    """Cases in which ours did worse than uvicorn's own."""
    theirs = results.get(AGENTS[-1].name, {})
    return [
        f"{case} ({way}): {how}"
        for way, found in results.items()
        for case, how in found.items()
        if BEHAVIOURS.index(how) > max(BEHAVIOURS.index("OK"), BEHAVIOURS.index(theirs.get(case, "OK")))
    ]


def put_into_the_page(text: str) -> None:
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    versions = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "websockets"))
    suite = f"autobahntestsuite 25.10.1; Python {sys.version.split()[0]}, {versions}."
    PAGE.write_text(f"{before}{BEGIN}{text}\n{suite}\n{END}{rest.split(END)[1]}")


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="python -m tests.autobahn", description=__doc__)
    made.add_argument("cases", nargs="*", default=["*"], metavar="CASE", help="as 6.4.* or 7.1.5; default all 517")
    made.add_argument("--only", metavar="WORD", default="", help="those ways in whose name this word is")
    made.add_argument("--page", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    asked = made.parse_args(arguments)
    install()
    results: dict[str, dict[str, str]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for agent in AGENTS:
        if asked.only in agent.name:
            found = judged(agent, asked.cases or ["*"])
            results[agent.name] = {**results.get(agent.name, {}), **found}
            RESULTS.write_text(json.dumps(results, indent=1))
    sys.stdout.write(table(results))
    if asked.page:
        put_into_the_page(table(results))
    for line in (bad := worse(results)):
        sys.stdout.write(f"worse than uvicorn's own class: {line}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
