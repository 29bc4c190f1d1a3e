"""The broker's user whose rights `docs/howto/deploy.md` says are enough, word for word."""

import re
from pathlib import Path

from redis import Redis

from hubbub.brokers.redis import broker
from tests.docs.pages import blocks

#: `ACL`, `SETUSER`, the name, and all that is said of it.
[RIGHTS] = [block.split() for block in blocks("docs/howto/deploy.md", "text") if block.startswith("ACL SETUSER")]

_NAME = RIGHTS[2]
[_PASSWORD] = [each[1:] for each in RIGHTS if each.startswith(">")]


def as_documented(admin: Redis, url: str, *more: str) -> str:
    """The URL of that user at the server of `url`, with `more` rules after the page's."""
    admin.execute_command(*RIGHTS, *more)
    return f"{url}{'&' if '?' in url else '?'}username={_NAME}&password={_PASSWORD}"


SCRIPTS = Path(broker.__file__).parent


def used_by_scripts() -> set[str]:
    """Every command of every script."""
    calls = re.compile(r"redis\.p?call\('(\w+)'")
    return {name for script in SCRIPTS.glob("*.lua") for name in calls.findall(script.read_text())}
