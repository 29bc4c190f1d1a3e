"""What an application says of its hubs: it is imported as a worker would import it, and never started."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvicorn.importer import import_from_string

from hubbub import Hub
from hubbub.auth.origin import doubts
from hubbub.auth.redaction import harmless, redact
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings, write_environment
from hubbub.hub import included
from hubbub.hub.settings import Configuration
from hubbub.ports.broker import Broker

#: Where hubbub serve is to put the embedded broker: a hub that says nothing of its own takes it.
_EMBEDDED = "unix:///embedded/by/hubbub/serve"


@dataclass(frozen=True, slots=True)
class Application:
    """What was found, and the hubs of it."""

    findings: list[Finding]
    hubs: list[Configuration]

    @property
    def keeps(self) -> bool | None:
        """Whether anything is kept; None where nobody knows."""
        return any(hub.keeps for hub in self.hubs) if self.hubs else None

    def broker(self, otherwise: str | None) -> str | Broker | None:
        """What the code says, `otherwise` where it says nothing or was not looked at."""
        said = [hub.broker for hub in self.hubs if hub.broker != _EMBEDDED]
        return said[0] if said else otherwise


NONE = Application([], [])


def application(name: str | None, settings: Settings, *, embedded: bool) -> Application:
    """`embedded`: hubbub serve would start a broker of its own for it."""
    if name is None:
        return NONE
    if not all(name.partition(":")):
        do = 'write it module:variable, like "main:app"'
        return Application([Finding(About.APPLICATION, "wrong", f'"{harmless(name)}" names no application', do)], [])
    broker = _EMBEDDED if embedded else settings.broker
    try:
        # What it prints is none of the table, nor of the JSON.
        with _as_in_a_worker(settings.model_copy(update={"broker": broker})), redirect_stdout(sys.stderr):
            found = _made(import_from_string(name))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its modules do
        said = harmless(redact(f"{name} does not import: {type(error).__name__}: {error}"), limit=600)
        do = "mend it, or run doctor in its directory and virtual environment"
        return Application([Finding(About.APPLICATION, "wrong", said, do)], [])
    owners = dict.fromkeys(owner for _, owner in included.everywhere(found) if isinstance(owner, Hub))
    hubs = [hub.configuration for hub in owners]
    if not hubs:
        do = "app.include_router(hub.router) in it"
        return Application([Finding(About.APPLICATION, "wrong", f"{name} has no hub", do)], [])
    rooms = sum(len(hub.rooms) for hub in hubs)
    kept = "history" if any(hub.keeps for hub in hubs) else "no history"
    said = f"{name}: {'a hub' if len(hubs) == 1 else f'{len(hubs)} hubs'}, {rooms} kinds of rooms, {kept}"
    findings = [Finding(About.APPLICATION, "ok", said)]
    for hub in hubs:
        findings += _origins(hub, development=settings.dev)
    return Application(findings, hubs)


def _made(found: Any) -> Any:
    """What a factory makes. uvicorn finds out by calling it, with `--factory` and without."""
    try:
        return found()
    except TypeError:
        # An application asks for arguments. So does a factory that fails, which then has no hub.
        return found


def _origins(hub: Configuration, *, development: bool) -> Iterator[Finding]:
    listed = hub.settings.origins.origins
    if listed is None:
        yield Finding(About.ORIGINS, "ok", "not listed: pages of the request's own host")
        return
    found = [] if development else doubts(listed)
    if not found:
        yield Finding(About.ORIGINS, "ok", f"{len(listed)} listed")
    for said, do in found:
        yield Finding(About.ORIGINS, "weak", said, f"origins=: {do}")


@contextmanager
def _as_in_a_worker(settings: Settings) -> Iterator[None]:
    """The environment and the path that hubbub serve gives its workers; put back afterwards."""
    before, path = dict(os.environ), list(sys.path)
    write_environment(settings)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
