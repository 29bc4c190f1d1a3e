"""Attacks measured: the server on one core, attackers and users on the other, and then the same users in quiet.

The quiet value is taken of a fresh server, with a core as busy beside the users as the attackers made it: what the
machine costs them stands on both sides of the ratio.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import Command, Running, pinned, serving

from hubbub import JWTAuth
from tests.hostile.attack.attacks import Attack
from tests.hostile.attack.users import Measured

SECRET = "attacked by those who know who they are 0123456789"
ROOT = Path(__file__).parents[3]

USERS, ATTACKERS = 100, 200
#: Seconds: for whatever has begun to settle, and between two looks at the server's memory.
_SETTLE, _LOOK = 1.0, 0.05


@dataclass(frozen=True, slots=True)
class Cores:
    server: int
    load: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`growth` is bytes of resident memory, `busy` the share of its core that the server worked, `told` what the
    attackers were answered."""

    quiet: Measured
    attacked: Measured
    growth: int
    busy: float
    told: str

    @property
    def ratio(self) -> float:
        return self.attacked.p99 / self.quiet.p99


def measure(attacks: Sequence[Attack], python: str, cores: Cores, seconds: float) -> Outcome:
    """All of `attacks` at once."""
    with _server(attacks, python, cores) as server, _users(server, cores) as users:
        memory = server.memory
        with contextlib.ExitStack() as stack:
            attackers = [stack.enter_context(_attackers(attack, server, cores)) for attack in attacks]
            for each in attackers:
                assert _said(each) == "at it"
            time.sleep(_SETTLE)
            busy, worked, began = _busy(attackers), server.busy, time.monotonic()
            attacked, peak = _watched(users, server, seconds)
            took = time.monotonic() - began
            share, worked = (_busy(attackers) - busy) / took, (server.busy - worked) / took
            told = [_ended(each) for each in attackers]
        peak = max(peak, server.memory)
    with _server(attacks, python, cores) as server, _users(server, cores) as users, _burning(share, cores):
        time.sleep(_SETTLE)
        quiet, _ = _watched(users, server, seconds)
    if len(attacks) > 1:
        told = [f"{attack.name}: {answers}" for attack, answers in zip(attacks, told, strict=True)]
    return Outcome(quiet, attacked, peak - memory, worked, "; ".join(told))


def _busy(processes: Sequence["subprocess.Popen[str]"]) -> float:
    return sum(Running(each.pid, 0).busy for each in processes)


def _server(attacks: Sequence[Attack], python: str, cores: Cores) -> contextlib.AbstractContextManager[Running]:
    command = [python, "-m", "hubbub", "serve", "tests.hostile.attack.served:app", "--port", "{port}"]
    command += ["--no-access-log", "--log-level", "warning", "--drain", "0"]
    environment = {"HUBBUB_SECRET": SECRET}
    for attack in attacks:
        environment |= attack.environment
    name = attacks[0].name if len(attacks) == 1 else "all"
    return serving(f"attacked by {name}", Command(command, environment), cores={cores.server})


def tokens(name: str, number: int) -> list[str]:
    auth = JWTAuth(SECRET)
    return [auth.sign(f"{name}{each}") for each in range(number)]


def _watched(users: "subprocess.Popen[str]", server: Running, seconds: float) -> tuple[Measured, int]:
    """What the users measured in so many seconds, and the most memory that the server had meanwhile."""
    _tell(users, "begin")
    end, peak = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        peak = max(peak, server.memory)
        time.sleep(_LOOK)
    _tell(users, "end")
    return Measured(**json.loads(_said(users))), peak


@contextlib.contextmanager
def _users(server: Running, cores: Cores) -> Iterator["subprocess.Popen[str]"]:
    with _process("users", cores) as process:
        _tell(process, json.dumps({"port": server.port, "tokens": tokens("user", USERS)}))
        assert _said(process) == "ready"
        time.sleep(_SETTLE)
        yield process


@contextlib.contextmanager
def _attackers(attack: Attack, server: Running, cores: Cores) -> Iterator["subprocess.Popen[str]"]:
    with _process("crowd", cores) as process:
        order = {"attack": attack.name, "port": server.port, "tokens": tokens("attacker", ATTACKERS)}
        _tell(process, json.dumps(order))
        yield process


@contextlib.contextmanager
def _burning(share: float, cores: Cores) -> Iterator[None]:
    with _process("burn", cores, f"{share:.2f}"):
        yield


@contextlib.contextmanager
def _process(module: str, cores: Cores, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with pinned({cores.load}):
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.hostile.attack.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _ended(process: "subprocess.Popen[str]") -> str:
    process.terminate()
    return process.communicate()[0].strip()


def _tell(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit("Users or attackers ended before their time: was the server there?")
    return line
