"""What `hubbub serve` says when it starts: what development allows, and where it serves."""

from urllib.parse import urlsplit

from hubbub.auth.origin import is_loopback
from hubbub.cli.listening import address
from hubbub.cli.settings import Settings


def start_line(application: str | None, settings: Settings, port: int, valkey: int | None) -> str:
    """One line: what, the real address, how many workers, and the broker; `valkey` is the embedded one's process."""
    what = "the showcase" if application is None else application
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    if valkey is not None:
        broker = f"embedded Valkey, process {valkey}"
    else:
        broker = _without_credentials(settings.broker or "memory")
    return f"Hubbub serves {what} at {address(settings, port)} ({workers}, {broker})"


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
        lines.append("  HUBBUB_SECRET was not set: one was generated, and its tokens end with this process")
    if settings.uds is None and not is_loopback(settings.host):
        lines.append(f"  everybody who reaches {settings.host} may do so")
    return "\n".join(lines)


def _without_credentials(broker: str) -> str:
    parts = urlsplit(broker)
    if not parts.netloc:
        return parts.scheme or broker
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
