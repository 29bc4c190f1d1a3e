"""The commands and their flags, as typer reads them; those that look at what runs stand in `hubbub.cli.looking`. What a
flag is worth is decided in `hubbub.cli.settings`.

Flags that are also variables are taken as text: one place checks them, and says in one line what is wrong.

A little longer than other files: nearly all of it is what `--help` says.
"""

import os
import sys
from typing import Annotated

import typer

from hubbub import __version__
from hubbub.cli.looking import doctor, tail, top
from hubbub.cli.settings import read_settings, refuse_seen
from hubbub.errors import ConfigurationError

# typer's own tracebacks show local variables, and secrets are among them.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Real-time for FastAPI: rooms, users, presence, history and resume over WebSockets.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hubbub {__version__}")
        raise typer.Exit


@app.callback()
def hubbub(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    application: Annotated[
        str | None, typer.Argument(metavar="MODULE:APP", help="The application; without one, the showcase.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen at. [HUBBUB_HOST, default 127.0.0.1]")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="0 takes a free one. [HUBBUB_PORT, default 8000]")
    ] = None,
    uds: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A unix socket to listen at, instead of host and port. [HUBBUB_UDS]"),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="What a proxy takes off the path before it asks us. [HUBBUB_ROOT_PATH]"),
    ] = None,
    ssl_certfile: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The certificate chain, in PEM: serve by TLS. [HUBBUB_SSL_CERTFILE]"),
    ] = None,
    ssl_keyfile: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Its key, where that is in a file of its own. [HUBBUB_SSL_KEYFILE]"),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="Processes that serve. [HUBBUB_WORKERS, default 1]")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="What carries messages between workers, e.g. redis://localhost. "
            "[HUBBUB_BROKER, default memory; with several workers an embedded Valkey]",
        ),
    ] = None,
    broker_memory: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES",
            help="What memory, or the embedded Valkey, may keep. [HUBBUB_BROKER_MEMORY, default 256 MiB]",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the embedded Valkey keeps its data on disk, also for one worker. "
            "[HUBBUB_DATA, default nowhere: history ends with the command]",
        ),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when a file changes; one worker.")] = False,
    dev: Annotated[
        bool | None, typer.Option("--dev/--no-dev", help="Development: no passwords, guests. [HUBBUB_DEV, default off]")
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Time for requests to finish at the end. [HUBBUB_GRACE, default 10]"),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="What clients' return is spread over at the end; 0 sends all away at once. [HUBBUB_DRAIN, default 5]",
        ),
    ] = None,
    proxies: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Proxies that are believed whom they speak for: addresses, networks, unix, with commas; or none. "
            "[HUBBUB_PROXIES, default as uvicorn's: 127.0.0.1]",
        ),
    ] = None,
    max_message: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES",
            help="Largest message the server reads; raise it together with Limits(message=). "
            "[HUBBUB_MAX_MESSAGE, default 65536]",
        ),
    ] = None,
    timeout_keep_alive: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="How long an idle HTTP connection stays open; longer than the balancer in front keeps it. "
            "[HUBBUB_TIMEOUT_KEEP_ALIVE, default 75]",
        ),
    ] = None,
    limit_max_requests: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="A worker that has answered so many requests drains and is replaced. "
            "[HUBBUB_LIMIT_MAX_REQUESTS, default never]",
        ),
    ] = None,
    limit_max_requests_jitter: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Up to so many more, by chance, so that not all workers end at once. "
            "[HUBBUB_LIMIT_MAX_REQUESTS_JITTER, default 0]",
        ),
    ] = None,
    audit: Annotated[
        bool | None,
        typer.Option(
            "--audit/--no-audit",
            help="A line for each who comes, goes, is refused, put out. [HUBBUB_AUDIT, default off]",
        ),
    ] = None,
    tracing: Annotated[
        bool | None,
        typer.Option(
            "--tracing/--no-tracing",
            help="Spans, where the application sets up OpenTelemetry. [HUBBUB_TRACING, default on]",
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="critical to debug. [HUBBUB_LOG_LEVEL, default info]"),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="text, or json: an object a line. [HUBBUB_LOG_FORMAT, default text]"),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="A line for each request. Tokens are never in it.")
    ] = True,
) -> None:
    """Serve an application, or the showcase, on one worker or several.

    Flags win over HUBBUB_ variables, which win over a file .env in the working directory. The secret for tokens
    is HUBBUB_SECRET, the key for publishing HUBBUB_PUBLISH_KEY: neither has a flag, because flags can be seen.
    """
    from hubbub.cli.serve import serve as run

    where = {"host": host, "port": port, "uds": uds, "root_path": root_path, "proxies": proxies}
    tls = {"ssl_certfile": ssl_certfile, "ssl_keyfile": ssl_keyfile}
    times = {"grace": grace, "drain": drain, "timeout_keep_alive": timeout_keep_alive}
    limits = {
        "broker_memory": broker_memory,
        "max_message": max_message,
        "limit_max_requests": limit_max_requests,
        "limit_max_requests_jitter": limit_max_requests_jitter,
    }
    flags = {"workers": workers, "broker": broker, "data": data, "dev": dev, "audit": audit, "tracing": tracing}
    logs = {"log_level": log_level, "log_format": log_format}
    settings = read_settings(**where, **tls, **times, **limits, **flags, **logs)
    raise typer.Exit(run(application, settings, reload=reload, access_log=access_log))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The user's id.")],
    expires: Annotated[str, typer.Option(metavar="TIME", help="45s, 30m, 12h, 1d.")] = "1d",
    audience: Annotated[str | None, typer.Option(metavar="NAME", help="Whom the token is for.")] = None,
) -> None:
    """Print a token for a user, signed with HUBBUB_SECRET."""
    from hubbub.cli.token import token as sign

    typer.echo(sign(name, read_settings(), expires=expires, audience=audience))


@app.command()
def publish(
    room: Annotated[str, typer.Argument(help="The room's name.")],
    message: Annotated[str, typer.Argument(metavar="JSON", help="The message, an object; - reads standard input.")],
    url: Annotated[str, typer.Option(metavar="URL", help="The running server.")] = "http://127.0.0.1:8000",
    key: Annotated[str | None, typer.Option(hidden=True)] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Sent again with the same one, it is delivered once, where history is kept."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Whether it may be kept, in a room that keeps history.")
    ] = True,
) -> None:
    """Send a message to everybody in a room of a running server. HUBBUB_PUBLISH_KEY is the key, and has no flag."""
    from hubbub.cli.publish import PublishError
    from hubbub.cli.publish import publish as send

    refuse_seen("--key", "HUBBUB_PUBLISH_KEY", given=key is not None)
    try:
        text = sys.stdin.read() if message == "-" else message
    except UnicodeDecodeError:
        raise ConfigurationError("The message is not UTF-8") from None
    try:
        typer.echo(send(room, text, read_settings(), url=url, idempotency_key=idempotency_key, keep=keep))
    except PublishError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command()
def bench(
    workload: Annotated[
        str, typer.Argument(metavar="WORKLOAD", help="fanout, rooms, request or idle; docs/howto/measure.md says more.")
    ] = "fanout",
    url: Annotated[str, typer.Option(metavar="URL", help="The running server.")] = "http://127.0.0.1:8000",
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The endpoint; {user} becomes the connection's user. [default /ws with a credential, else "
            "/ws/chat/{user}]",
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(hidden=True)] = None,
    message: Annotated[
        str | None, typer.Option(metavar="JSON", help="What is sent, with {content}, {room} and {user} in it.")
    ] = None,
    connections: Annotated[int | None, typer.Option(metavar="N", help="[default 1000; request, idle 100]")] = None,
    rooms: Annotated[int | None, typer.Option(metavar="N", help="rooms, idle. [default one for ten]")] = None,
    publishers: Annotated[int | None, typer.Option(metavar="N", help="fanout: members that send. [default 1]")] = None,
    in_flight: Annotated[
        int | None, typer.Option(metavar="N", help="fanout: messages not yet delivered to all. [default 1]")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", help="fanout, rooms: messages a second, whatever comes back.")
    ] = None,
    text: Annotated[int | None, typer.Option(metavar="BYTES", help="Size of the content. [default 200]")] = None,
    duration: Annotated[float | None, typer.Option(metavar="SECONDS", help="What is measured. [default 10]")] = None,
    warm_up: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="What is not counted before. [default 1]")
    ] = None,
    hold: Annotated[float | None, typer.Option(metavar="SECONDS", help="idle: how long. [default 10]")] = None,
    stall: Annotated[
        int | None, typer.Option(metavar="N", help="fanout, rooms: further members that read nothing. [default 0]")
    ] = None,
    connecting: Annotated[
        int | None, typer.Option(metavar="N", help="Handshakes under way at once. [default 64]")
    ] = None,
    patience: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Without progress, until the server stalls. [default 10]")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of the content. [default 1]")] = None,
    in_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Measure a running server: deliveries a second, latencies, and what went wrong.

    HUBBUB_TOKEN is one token for all connections; else each has its own, signed with HUBBUB_SECRET.
    """
    from hubbub.cli.bench import bench as measure

    refuse_seen("--token", "HUBBUB_TOKEN", given=token is not None)
    code = measure(
        workload,
        read_settings(),
        url=url,
        path=path,
        message=message,
        token=os.environ.get("HUBBUB_TOKEN") or None,
        hold=hold,
        in_json=in_json,
        connections=connections,
        rooms=rooms,
        publishers=publishers,
        in_flight=in_flight,
        rate=rate,
        text=text,
        duration=duration,
        warm_up=warm_up,
        stall=stall,
        connecting=connecting,
        patience=patience,
        seed=seed,
    )
    raise typer.Exit(code)


@app.command()
def size(
    users: Annotated[int | None, typer.Option(metavar="N", help="Who have the application. [default 10000]")] = None,
    online: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Of them at the busiest time, 0.1 for a tenth. [default 0.1]")
    ] = None,
    tabs: Annotated[float | None, typer.Option(metavar="N", help="Connections of one who is. [default 1.2]")] = None,
    rooms: Annotated[int | None, typer.Option(metavar="N", help="Occupied at that time. [default 1000]")] = None,
    messages: Annotated[
        float | None, typer.Option(metavar="N", help="A second, to rooms and users. [default 100]")
    ] = None,
    fanout: Annotated[
        float | None, typer.Option(metavar="N", help="Connections that one message reaches. [default 10]")
    ] = None,
    size_: Annotated[
        int | None, typer.Option("--size", metavar="BYTES", help="Of a message's content. [default 200]")
    ] = None,
    requests: Annotated[
        float | None, typer.Option(metavar="N", help="Of clients a second that they alone are answered. [default 0]")
    ] = None,
    history_size: Annotated[
        int | None, typer.Option(metavar="N", help="Messages that a room keeps. [default 0, none]")
    ] = None,
    history_ttl: Annotated[float | None, typer.Option(metavar="SECONDS", help="For how long. [default 3600]")] = None,
    presence: Annotated[bool, typer.Option("--presence", help="Rooms tell who is there.")] = False,
    stay: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="That a connection lasts. [default 1800]")
    ] = None,
    cores: Annotated[int | None, typer.Option(metavar="N", help="Of a machine. [default 4]")] = None,
    memory: Annotated[float | None, typer.Option(metavar="GIB", help="Of a machine. [default 16]")] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="N", help="Of a core, in those of the measured machine. [default 1]")
    ] = None,
    headroom: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Of everything that stays free. [default 0.5]")
    ] = None,
    per_worker: Annotated[
        int | None, typer.Option(metavar="N", help="Connections of a worker at most. [default 15000]")
    ] = None,
    back: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="In which all are to be back after a storm. [default 20]")
    ] = None,
    handshakes: Annotated[
        float | None, typer.Option(metavar="N", help="Limits(handshakes=), for what is played. [default 1000]")
    ] = None,
    broker_memory: Annotated[
        float | None, typer.Option(metavar="GIB", help="Of a machine for a broker. [default 16]")
    ] = None,
    machine_price: Annotated[float | None, typer.Option(metavar="N", help="A month. [default 140]")] = None,
    broker_price: Annotated[
        float | None, typer.Option(metavar="N", help="Of a machine for a broker, a month. [default 140]")
    ] = None,
    egress_price: Annotated[
        float | None, typer.Option(metavar="N", help="Of a GiB that leaves. [default 0.05]")
    ] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Play a storm and a deploy, too.")] = False,
    in_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Estimate how many workers, machines and brokers so many users take, and what they cost.

    What one of each thing costs was measured; all that follows is arithmetic. docs/explain/sizing.md says how.
    """
    from hubbub.cli.size import size as estimate

    demand = {"users": users, "online": online, "tabs": tabs, "rooms": rooms, "messages": messages, "fanout": fanout}
    demand |= {"size": size_, "requests": requests, "history_size": history_size, "history_ttl": history_ttl}
    hardware = {"cores": cores, "memory": memory, "speed": speed, "headroom": headroom, "per_worker": per_worker}
    hardware |= {"back": back, "handshakes": handshakes, "broker_memory": broker_memory, "machine_price": machine_price}
    hardware |= {"broker_price": broker_price, "egress_price": egress_price}
    told = estimate(simulate=simulate, in_json=in_json, presence=presence, stay=stay, **demand, **hardware)
    typer.echo(told)


for command in (doctor, tail, top):
    app.command()(command)
