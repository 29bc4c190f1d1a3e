"""What `hubbub` may be told, and by whom: a flag wins over `HUBBUB_…`, which wins over `.env` in the working directory.

Workers are processes of their own, so a decision reaches them as `HUBBUB_…` variables, written once by the parent.
That is also how a value in `.env` reaches an application of the user's, whose hub reads the environment and no file.
"""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hubbub.brokers.choose import LEAST_MEMORY
from hubbub.errors import ConfigurationError
from hubbub.hub.client_address import Proxies, parse_proxies
from hubbub.options import BROKER_MEMORY, Leaving, Limits

PREFIX = "HUBBUB_"
_CONCURRENCY = "WEB_CONCURRENCY"

# Before the host, or as an option. Not by the reader of URLs: also of one that cannot be read.
_PASSWORD = re.compile(r"//[^/@]*:[^?]*@|[?&](ssl_)?password=", re.IGNORECASE)

Level = Literal["critical", "error", "warning", "info", "debug"]
Format = Literal["text", "json"]


def revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseSettings):
    """Times are seconds, sizes bytes.

    `broker` is a URL or `memory`; None is memory for one worker, an embedded Valkey for more, and for one where `data`
    says in which directory it is to keep what it is told.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    uds: str | None = Field(default=None, min_length=1)
    root_path: str = ""
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_keyfile_password: SecretStr | None = None
    workers: int = Field(default=1, ge=1, le=256)
    broker: str | None = None
    broker_memory: int = Field(default=BROKER_MEMORY, ge=LEAST_MEMORY)
    data: str | None = Field(default=None, min_length=1)
    secret: SecretStr | None = None
    dev: bool = False
    publish_key: SecretStr | None = None
    admin_key: SecretStr | None = None
    audit: bool = False
    tracing: bool = True
    log_level: Annotated[Level, BeforeValidator(_lower)] = "info"
    log_format: Annotated[Format, BeforeValidator(_lower)] = "text"
    grace: int = Field(default=10, ge=0, le=3600)
    drain: float = Field(default=Leaving().window, ge=0, le=3600)
    proxies: str | None = None
    max_message: int = Field(default=Limits().message, ge=1)
    # Longer than a balancer keeps a connection, or it sends a request into one that is closed just then: a 502.
    timeout_keep_alive: int = Field(default=75, ge=0, le=3600)
    timeout_head: float = Field(default=10, gt=0, le=3600)
    timeout_body: float = Field(default=20, gt=0, le=3600)
    timeout_stalled: float = Field(default=10, gt=0, le=3600)
    min_body_rate: float = Field(default=500, gt=0, le=1e9)
    limit_head: int = Field(default=64 * 1024, ge=1024, le=1024 * 1024)
    limit_headers: int = Field(default=100, ge=10, le=10_000)
    transport: Literal["fast", "asgi"] = "fast"
    limit_max_requests: int | None = Field(default=None, ge=1)
    limit_max_requests_jitter: int = Field(default=0, ge=0)


def read_settings(**flags: Any) -> Settings:
    """The settings, where a flag that is None was not given.

    Raises ConfigurationError with one line that names each flag or variable at fault, never a secret's value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if "broker" in given:
        refuse_seen("--broker with a password", "HUBBUB_BROKER", given=bool(_PASSWORD.search(given["broker"])))
    try:
        return Settings(**given)
    except ValidationError as invalid:
        raise ConfigurationError("; ".join(_in_words(dict(error), given) for error in invalid.errors())) from None
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(f"The file .env cannot be read: {unreadable}") from None


def refuse_seen(flag: str, variable: str, *, given: bool) -> None:
    """Raises ConfigurationError where a secret was `given` by a flag: `ps` shows it to everybody on the machine."""
    if given:
        raise ConfigurationError(f"{flag} could be read by everybody on this machine: set {variable} instead")


def write_environment(settings: Settings) -> None:
    """Put what was decided where workers and the user's application look for it."""
    values: dict[str, str | None] = {
        "HOST": settings.host,
        "PORT": str(settings.port),
        "UDS": settings.uds,
        "ROOT_PATH": settings.root_path,
        "SSL_CERTFILE": settings.ssl_certfile,
        "SSL_KEYFILE": settings.ssl_keyfile,
        "SSL_KEYFILE_PASSWORD": revealed(settings.ssl_keyfile_password),
        "WORKERS": str(settings.workers),
        "BROKER": settings.broker,
        "BROKER_MEMORY": str(settings.broker_memory),
        "DATA": settings.data,
        "SECRET": revealed(settings.secret),
        # Not removed where it is off: a worker that reads .env itself would turn it on again.
        "DEV": "1" if settings.dev else "0",
        "PUBLISH_KEY": revealed(settings.publish_key),
        "ADMIN_KEY": revealed(settings.admin_key),
        "AUDIT": "1" if settings.audit else "0",
        "TRACING": "1" if settings.tracing else "0",
        "LOG_LEVEL": settings.log_level,
        "LOG_FORMAT": settings.log_format,
        "GRACE": str(settings.grace),
        "DRAIN": f"{settings.drain:g}",
        "PROXIES": settings.proxies,
        "MAX_MESSAGE": str(settings.max_message),
        "TIMEOUT_KEEP_ALIVE": str(settings.timeout_keep_alive),
        "TIMEOUT_HEAD": f"{settings.timeout_head:g}",
        "TIMEOUT_BODY": f"{settings.timeout_body:g}",
        "TIMEOUT_STALLED": f"{settings.timeout_stalled:g}",
        "MIN_BODY_RATE": f"{settings.min_body_rate:g}",
        "LIMIT_HEAD": str(settings.limit_head),
        "LIMIT_HEADERS": str(settings.limit_headers),
        "TRANSPORT": settings.transport,
        "LIMIT_MAX_REQUESTS": None if settings.limit_max_requests is None else str(settings.limit_max_requests),
        "LIMIT_MAX_REQUESTS_JITTER": str(settings.limit_max_requests_jitter),
    }
    for name, value in values.items():
        if value:
            os.environ[PREFIX + name] = value
        else:
            os.environ.pop(PREFIX + name, None)
    if _CONCURRENCY in os.environ:
        # Some hosts set it for every process. It is not ours to follow, and a hub counts workers by it.
        os.environ[_CONCURRENCY] = str(settings.workers)


def named_proxies(settings: Settings) -> Proxies:
    """Raises ConfigurationError that names the flag."""
    try:
        return parse_proxies(settings.proxies)
    except ConfigurationError as error:
        raise ConfigurationError(f"--proxies (HUBBUB_PROXIES): {error}") from None


def _in_words(error: dict[str, Any], given: dict[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    variable = PREFIX + name.upper()
    if name in given:
        source = "--" + name.replace("_", "-")
    elif any(key.upper() == variable and value for key, value in os.environ.items()):
        source = variable
    else:
        source = f"{variable} in .env"
    secret = name in {"secret", "publish_key", "broker", "ssl_keyfile_password"}
    value = "" if secret else f", not {error['input']!r}"
    return f"{source}: {error['msg'][0].lower()}{error['msg'][1:]}{value}"
