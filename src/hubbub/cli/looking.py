"""The commands that look at what runs, and their flags, as typer reads them: doctor, tail, top."""

import os
from typing import Annotated

import typer

from hubbub.cli.settings import read_settings, refuse_seen
from hubbub.errors import ConfigurationError

_URL = "http://127.0.0.1:8000"


def doctor(
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="The broker to ask. [HUBBUB_BROKER, default memory]")
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what runs here, what holds it back, and what keeps it from working."""
    from hubbub.cli.doctor import as_json, as_lines, examine, healthy

    findings = examine(read_settings(broker=broker))
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
    from hubbub.cli.top import Asked, watch

    refuse_seen("--key", "HUBBUB_ADMIN_KEY", given=key is not None)
    if interval <= 0:
        raise ConfigurationError("--interval is a number of seconds above 0")
    asked = Asked(url=url, path=path, interval=interval, once=once, in_json=in_json)
    raise typer.Exit(watch(asked, key=os.environ.get("HUBBUB_ADMIN_KEY") or None))
