"""What `hubbub serve` says when it starts: what development allows, and where it serves."""

from urllib.parse import urlsplit

from hubbub.auth.origin import is_loopback
from hubbub.brokers.choose import is_memory
from hubbub.cli.listening import address
from hubbub.cli.settings import Settings


def start_line(
    application: str | None, settings: Settings, port: int, valkey: int | None, data: object | None = None
) -> str:
    """One line: what, the real address, how many workers, and the broker.

    `valkey` is the embedded one's process, `data` the directory in which it keeps what it is told.
    """
    what = "the showcase" if application is None else application
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    if valkey is not None:
        broker = f"embedded Valkey, process {valkey}" + (f", data in {data}" if data is not None else "")
    else:
        broker = _without_credentials(settings.broker or "memory")
    return f"Hubbub serves {what} at {address(settings, port)} ({workers}, {broker})"


def what_ends(settings: Settings, *, embedded: bool) -> str | None:
    """One line, where what rooms keep is gone with the command and need not be."""
    if settings.data is not None or not (embedded or settings.broker is None or is_memory(settings.broker)):
        return None
    return "history, presence and inboxes end with this process; --data DIR (HUBBUB_DATA) keeps them on disk"


def what_development_allows(settings: Settings, *, showcase: bool, generated: bool) -> str:
    """A block of lines, to be read before somebody relies on it."""
    lines = ["Development (--dev), not for the internet:"]
    if showcase:
        lines += [
            "  guests may enter at /ws/chat/{name} under any name",
            "  /login takes a name and asks for no password",
            "  publishing needs no key",
        ]
    else:
        lines.append("  HUBBUB_DEV=1 for the application")
    if generated:
        until = "its tokens end with this process" if settings.data is None else "is kept with the data"
        lines.append(f"  HUBBUB_SECRET was not set: one was generated, and {until}")
    if settings.uds is None and not is_loopback(settings.host):
        lines.append(f"  everybody who reaches {settings.host} may do so")
    return "\n".join(lines)


def _without_credentials(broker: str) -> str:
    parts = urlsplit(broker)
    if not parts.netloc:
        return parts.scheme or broker
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
