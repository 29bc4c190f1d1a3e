"""All that doctor looks at, in order."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from hubbub.cli.doctor.application import Application, application
from hubbub.cli.doctor.broker import broker, embeds, reached, server_of
from hubbub.cli.doctor.broker_server import Needs, server
from hubbub.cli.doctor.credentials import credentials
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.doctor.installation import addresses, installation, open_files
from hubbub.cli.doctor.running import Where, running
from hubbub.cli.doctor.starting import Started, started
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError
from hubbub.options import Heartbeat, Limits, RoomRate


@dataclass(frozen=True, slots=True)
class Asked:
    """What the flags ask for beside the settings. `connections`: of all workers together."""

    application: str | None = None
    connections: int | None = None
    server: str | None = None
    idle_timeout: float | None = None
    where: Where | None = None


def examine(settings: Settings, asked: Asked | None = None) -> list[Finding]:
    """All findings, in the order in which they are shown.

    Takes as long as the broker, at most some seconds, and with a URL as long as a heartbeat. Raises ConfigurationError
    for a flag that cannot be meant.
    """
    asked = Asked() if asked is None else asked
    if asked.connections is not None and asked.connections < 1:
        raise ConfigurationError("--connections is a whole number, 1 or more")
    if asked.idle_timeout is not None and not asked.idle_timeout > 0:
        raise ConfigurationError("--idle-timeout is a number of seconds above 0")
    # What the broker's listener logs is told in the table.
    logging.getLogger("hubbub").addHandler(logging.NullHandler())
    # Once to know who starts it, and again with the limits of the application.
    start = started(asked.server, settings, Limits())
    app = application(asked.application, settings, embedded=embeds(settings, start))
    start = started(asked.server, settings, _limits(app))
    findings = [
        *installation(),
        *open_files(_expected(asked.connections, app, start), hard=start.ours),
        addresses(settings),
        *credentials(settings),
        *app.findings,
        *start.findings,
        *_idle(asked.idle_timeout, app),
        *_broker(settings, app, start),
    ]
    if asked.where is not None:
        findings += running(asked.where, settings)
    order = list(About)
    return sorted(findings, key=lambda finding: order.index(finding.name))


def _limits(app: Application) -> Limits:
    return app.hubs[0].settings.limits if app.hubs else Limits()


def _expected(connections: int | None, app: Application, start: Started) -> int:
    """Of one worker."""
    return _limits(app).connections if connections is None else -(-connections // max(1, start.workers))


def _idle(seconds: float | None, app: Application) -> Iterator[Finding]:
    if seconds is None:
        return
    heartbeat = app.hubs[0].settings.heartbeat if app.hubs else Heartbeat()
    do = f"a longer one, {2 * heartbeat.interval:g} s or more; or Heartbeat(interval={seconds / 2:g})"
    said = f"lines that say nothing are cut after {seconds:g} s, and a heartbeat comes every {heartbeat.interval:g} s"
    if seconds <= heartbeat.interval:
        yield Finding(About.IDLE_TIMEOUT, "wrong", said, do)
    elif seconds < heartbeat.interval + heartbeat.timeout:
        yield Finding(About.IDLE_TIMEOUT, "weak", f"{said}: one that is late is too late", do)
    else:
        yield Finding(About.IDLE_TIMEOUT, "ok", said)


def _broker(settings: Settings, app: Application, start: Started) -> Iterator[Finding]:
    said = app.broker(settings.broker)
    if embeds(settings, start) and said is not None and not app.hubs:
        said = None
    findings = list(broker(said, settings, start))
    yield from findings
    url = server_of(said)
    if url is not None and reached(findings) and not any("--broker" in each.said for each in findings):
        yield from server(url, _needs(app, start))
    elif said is None and embeds(settings, start) and findings[-1].verdict == "ok":
        yield _embedded(settings, app)


def _needs(app: Application, start: Started) -> Needs:
    if not app.hubs:
        return Needs(workers=start.workers)
    hub = app.hubs[0]
    return Needs(
        name=hub.name,
        keeps=app.keeps,
        limits=hub.settings.limits,
        room_rate=hub.settings.room_rate or RoomRate(burst_bytes=max(1, hub.settings.limits.outbox // 2)),
        workers=start.workers,
    )


def _embedded(settings: Settings, app: Application) -> Finding:
    name = About.BROKER_PERSISTENCE
    if settings.data is not None:
        return Finding(name, "ok", f"kept in {settings.data}")
    if app.keeps is False:
        return Finding(name, "ok", "none, and nothing is kept")
    said = "none: what is kept ends with hubbub serve"
    return Finding(name, "weak", said, "--data DIR (HUBBUB_DATA), where a room keeps history")
