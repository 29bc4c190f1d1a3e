"""What doctor finds: a name that stays the same from release to release, a verdict, and what to do.

`docs/reference/settings.md` says of each name what it is about; a test holds the page to this list.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Verdict = Literal["ok", "weak", "wrong"]


class About(StrEnum):
    """The names, in the order in which they are shown."""

    HUBBUB = "hubbub"
    ACCELERATOR = "accelerator"
    UVICORN = "uvicorn"
    TRANSPORT = "transport"
    EVENT_LOOP = "event loop"
    HTTP_PARSER = "HTTP parser"
    WEBSOCKETS = "websockets"
    HIREDIS = "hiredis"
    OPEN_FILES = "open files"
    ADDRESSES = "addresses"
    SECRET = "secret"  # noqa: S105  # its name
    PUBLISH_KEY = "publish key"
    ADMIN_KEY = "admin key"
    APPLICATION = "application"
    ORIGINS = "origins"
    SERVER = "server"
    GRACEFUL_TIMEOUT = "graceful time-out"
    COMPRESSION = "compression"
    MESSAGE_SIZE = "message size"
    KEEP_ALIVE = "keep-alive"
    IDLE_TIMEOUT = "idle time-out"
    WORKERS = "workers"
    BROKER = "broker"
    BROKER_RIGHTS = "broker rights"
    BROKER_VERSION = "broker version"
    BROKER_MODE = "broker mode"
    BROKER_MEMORY = "broker memory"
    BROKER_EVICTION = "broker eviction"
    BROKER_PERSISTENCE = "broker persistence"
    BROKER_OUTPUT_BUFFER = "broker output buffer"
    BROKER_CLOCK = "broker clock"
    BROKER_SETTINGS = "broker settings"
    URL = "url"
    URL_UPGRADE = "url upgrade"
    URL_SUBPROTOCOL = "url subprotocol"
    URL_COMPRESSION = "url compression"
    URL_ORIGIN = "url origin"
    URL_PING = "url ping"
    URL_CLOSE_CODES = "url close codes"
    URL_CLOCK = "url clock"


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`; `weak` works and could do more; `wrong` keeps Hubbub from working.

    `said` is what was found, `do` what to do about it, a line each, without a credential in them. What is weak or wrong
    has something to do: raises ValueError without.
    """

    name: About
    verdict: Verdict
    said: str
    do: str = ""

    def __post_init__(self) -> None:
        if (self.verdict == "ok") != (not self.do):
            raise ValueError(f"{self.name}: {self.verdict} and to do {self.do!r}")


def as_lines(findings: Sequence[Finding]) -> str:
    """A table for people; what to do stands below what was found."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict:<5}  {finding.name:<{width}}  {finding.said}")
        if finding.do:
            lines.append(f"{'':5}  {'':<{width}}  > {finding.do}")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """`{"healthy": bool, "findings": [{"name", "verdict", "said", "do"}]}`."""
    told = [{"name": each.name, "verdict": each.verdict, "said": each.said, "do": each.do} for each in findings]
    return json.dumps({"healthy": healthy(findings), "findings": told})


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong; weak is not wrong."""
    return all(finding.verdict != "wrong" for finding in findings)
