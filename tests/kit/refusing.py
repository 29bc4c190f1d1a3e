"""How a server that is there refuses what it is asked: each way can be begun and ended, from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import ResponseError

from tests.kit.waiting import wait_for


@dataclass(frozen=True)
class Refusal:
    """`words`: what the server's answer has in it. `begin` and `end` block, and are given somebody else's client."""

    words: str
    begin: Callable[[Redis], None]
    end: Callable[[Redis], None]

    def __str__(self) -> str:
        return self.words

    @contextmanager
    def by(self, admin: Redis) -> Iterator[None]:
        self.begin(admin)
        try:
            yield
        finally:
            self.end(admin)


def _command(*command: str | int) -> Callable[[Redis], None]:
    def do(admin: Redis) -> None:
        admin.execute_command(*command)

    return do


def _one_by_one(*steps: Callable[[Redis], None]) -> Callable[[Redis], None]:
    def do(admin: Redis) -> None:
        for step in steps:
            step(admin)

    return do


def _snapshot(admin: Redis) -> Path:
    (directory,) = admin.config_get("dir").values()
    return Path(directory) / "dump.rdb"


def _no_snapshot_can_be_written(admin: Redis) -> None:
    _snapshot(admin).mkdir(exist_ok=True)
    admin.config_set("save", "3600 1")

    def failed() -> bool:
        with suppress(ResponseError):  # one is being written
            admin.bgsave()
        return bool(admin.info("persistence")["rdb_last_bgsave_status"] != "ok")

    wait_for(failed, what="a snapshot failed")


def _no_snapshot_is_wanted(admin: Redis) -> None:
    admin.config_set("save", "")
    while admin.info("persistence")["rdb_bgsave_in_progress"]:
        time.sleep(0.005)
    _snapshot(admin).rmdir()


#: Nobody listens there: it knows no primary, and keeps what it has.
_FOLLOW, _LEAD = _command("REPLICAOF", "127.0.0.1", 1), _command("REPLICAOF", "NO", "ONE")

DEMOTED = Refusal("READONLY", _FOLLOW, _LEAD)
MASTERDOWN = Refusal(
    "MASTERDOWN",
    _one_by_one(_FOLLOW, _command("CONFIG", "SET", "replica-serve-stale-data", "no")),
    _one_by_one(_LEAD, _command("CONFIG", "SET", "replica-serve-stale-data", "yes")),
)
#: PING is refused too.
FULL_DISK = Refusal("MISCONF", _no_snapshot_can_be_written, _no_snapshot_is_wanted)
FULL_MEMORY = Refusal("OOM", _command("CONFIG", "SET", "maxmemory", 1), _command("CONFIG", "SET", "maxmemory", 0))
NO_REPLICAS = Refusal(
    "NOREPLICAS",
    _command("CONFIG", "SET", "min-replicas-to-write", 1),
    _command("CONFIG", "SET", "min-replicas-to-write", 0),
)
NO_SCRIPTS = Refusal(
    "NOPERM",
    _command("ACL", "SETUSER", "default", "-eval", "-evalsha"),
    _command("ACL", "SETUSER", "default", "+eval", "+evalsha"),
)

#: The connections of those who listen end with it.
NO_CHANNELS = Refusal(
    "NOPERM",
    _command("ACL", "SETUSER", "default", "resetchannels"),
    _command("ACL", "SETUSER", "default", "allchannels"),
)

#: What was subscribed to before stands.
NO_SUBSCRIPTIONS = Refusal(
    "NOPERM",
    _command("ACL", "SETUSER", "default", "-subscribe"),
    _command("ACL", "SETUSER", "default", "+subscribe"),
)

#: Of what is written, where the rest goes on.
OF_WRITES = (DEMOTED, MASTERDOWN, FULL_DISK, FULL_MEMORY, NO_REPLICAS, NO_SCRIPTS)
