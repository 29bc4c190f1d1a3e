"""The commands that look at what runs, and their flags, as typer reads them: doctor, tail, top."""

import os
from typing import Annotated

import typer

from hubbub.cli.settings import read_settings, refuse_seen
from hubbub.errors import ConfigurationError

_URL = "http://127.0.0.1:8000"


def doctor(
    application: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE:APP", help="The application: it is imported, for its origins, rooms, limits and broker."
        ),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="The broker to ask. [HUBBUB_BROKER, default memory]")
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="Processes that are to serve. [HUBBUB_WORKERS, default 1]")
    ] = None,
    connections: Annotated[
        int | None, typer.Option(metavar="N", help="Expected at once, of all workers. [default what Limits allows]")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help='What starts it, if not hubbub serve: "uvicorn main:app --workers 4".'),
    ] = None,
    idle_timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="After which a proxy or balancer in front cuts a line that says nothing."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where it runs, as clients reach it: connect there, through the proxy."),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The endpoint there; {user} becomes the user. [default /ws with a credential, else /ws/chat/{user}]",
        ),
    ] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="ORIGIN", help="Of the page that connects there. [default the URL's own]")
    ] = None,
    token: Annotated[str | None, typer.Option(hidden=True)] = None,
    in_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what runs here, what holds it back, what keeps it from working, and what to do about it.

    With --url it connects to a running server and waits for a heartbeat, 25 s by default. HUBBUB_TOKEN is the token
    for it; else it is signed with HUBBUB_SECRET; without either it comes as a guest.
    """
    from hubbub.cli.doctor.examine import Asked, examine
    from hubbub.cli.doctor.finding import as_json, as_lines, healthy
    from hubbub.cli.doctor.running import Where

    refuse_seen("--token", "HUBBUB_TOKEN", given=token is not None)
    if url is None and (path is not None or origin is not None):
        raise ConfigurationError("--path and --origin are of a server that runs: give --url as well")
    where = None if url is None else Where(url, path, origin, os.environ.get("HUBBUB_TOKEN") or None)
    asked = Asked(application, connections, server, idle_timeout, where)
    findings = examine(read_settings(broker=broker, workers=workers), asked)
    typer.echo(as_json(findings) if in_json else as_lines(findings))
    raise typer.Exit(0 if healthy(findings) else 1)


def tail(
    room: Annotated[str, typer.Argument(help="The room's name; @me is the user's own.")],
    url: Annotated[str, typer.Option(metavar="URL", help="The running server.")] = _URL,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The endpoint; {user} becomes the user. [default /ws with a credential, else /ws/chat/{user}]",
        ),
    ] = None,
    user: Annotated[
        str, typer.Option(metavar="NAME", help="Whom to be, where HUBBUB_SECRET signs the token, or as a guest.")
    ] = "hubbub-tail",
    token: Annotated[str | None, typer.Option(hidden=True)] = None,
    history: Annotated[
        int | None, typer.Option(metavar="N", help="First the last N messages that are kept, at most 300 or so.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="POSITION", help="First what was said after this offset, or EPOCH:OFFSET."),
    ] = None,
    presence: Annotated[bool, typer.Option("--presence", help="Say as well who is there, comes and goes.")] = False,
    in_json: Annotated[bool, typer.Option("--json", help="Each message as it came, one JSON object a line.")] = False,
) -> None:
    """Print the messages of a room as they come, until Ctrl-C. It is a member like others, and seen by them.

    HUBBUB_TOKEN is the token; else it is signed with HUBBUB_SECRET; without either it comes as a guest. When the
    connection is lost it comes back, and what was missed is printed, or it is said that it was lost.
    """
    from hubbub.cli.tail import Tailed, follow

    refuse_seen("--token", "HUBBUB_TOKEN", given=token is not None)
    asked = Tailed(
        room=room, url=url, path=path, user=user, history=history, since=since, presence=presence, in_json=in_json
    )
    raise typer.Exit(follow(asked, read_settings(), token=os.environ.get("HUBBUB_TOKEN") or None))


def top(
    url: Annotated[str, typer.Option(metavar="URL", help="The running server, any of its workers.")] = _URL,
    path: Annotated[str, typer.Option(metavar="PATH", help="Where its metrics are.")] = "/metrics",
    interval: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print one table, and end.")] = False,
    key: Annotated[str | None, typer.Option(hidden=True)] = None,
    in_json: Annotated[bool, typer.Option("--json", help="One JSON object a look, for programs.")] = False,
) -> None:
    """Show the workers of a running server, as a table that is drawn anew, until Ctrl-C.

    It reads /metrics, in which any worker tells of all. Where that asks for a key, HUBBUB_ADMIN_KEY is shown.
    """
    from hubbub.cli.top.watch import Asked, watch

    refuse_seen("--key", "HUBBUB_ADMIN_KEY", given=key is not None)
    asked = Asked(url=url, path=path, interval=interval, once=once, in_json=in_json)
    raise typer.Exit(watch(asked, key=os.environ.get("HUBBUB_ADMIN_KEY") or None))
