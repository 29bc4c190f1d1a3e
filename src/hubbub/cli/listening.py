"""Where `hubbub serve` listens: an address or a unix socket, with TLS or without, and what is wrong with that.

Listening here and not in the workers makes "in use" certain: with SO_REUSEADDR a bind alone succeeds twice.
"""

import contextlib
import errno
import os
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from hubbub.cli.settings import Settings, revealed
from hubbub.errors import ConfigurationError

BACKLOG = 2048


def address(settings: Settings, port: int) -> str:
    """The URL, with an IPv6 address in brackets (RFC 3986 section 3.2.2), or the socket's path."""
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    scheme = "https" if settings.ssl_certfile else "http"
    return f"{scheme}://[{settings.host}]:{port}" if ":" in settings.host else f"{scheme}://{settings.host}:{port}"


@contextlib.contextmanager
def listen(settings: Settings) -> Iterator[socket.socket]:
    """A socket that takes connections from now on; they wait until a worker accepts them.

    Raises ConfigurationError.
    """
    with _at_path(settings.uds) if settings.uds is not None else _at_port(settings) as listener:
        yield listener


def check_tls(settings: Settings) -> None:
    """Raises ConfigurationError where the files make no certificate; uvicorn would say so in every worker."""
    if settings.ssl_certfile is None:
        if settings.ssl_keyfile is not None:
            raise ConfigurationError("--ssl-keyfile (HUBBUB_SSL_KEYFILE) needs --ssl-certfile (HUBBUB_SSL_CERTFILE)")
        return
    for flag, file in (("certfile", settings.ssl_certfile), ("keyfile", settings.ssl_keyfile)):
        try:
            if file is not None:
                Path(file).open("rb").close()  # OpenSSL does not say which of them it cannot read
        except OSError as error:
            raise ConfigurationError(f"--ssl-{flag} (HUBBUB_SSL_{flag.upper()}): {file}: {error.strerror}") from None
    # Without one OpenSSL would ask at the terminal.
    password = revealed(settings.ssl_keyfile_password) or ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "--ssl-certfile, --ssl-keyfile: not a certificate and its key in PEM, or HUBBUB_SSL_KEYFILE_PASSWORD is "
            f"another ({error})"
        ) from None


@contextlib.contextmanager
def _at_port(settings: Settings) -> Iterator[socket.socket]:
    host, port = settings.host, settings.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen at {address(settings, port)}: {error.strerror or error} (--host, --port)"
            ) from None
        yield listener


@contextlib.contextmanager
def _at_path(path: str) -> Iterator[socket.socket]:
    if sys.platform == "win32":
        raise ConfigurationError("--uds (HUBBUB_UDS): this system has no unix sockets")
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            mode = _remove_left_over(path)
            listener.bind(path)
            ours = Path(path).stat().st_ino
            # As uvicorn has it: a proxy is another user. Who wants less gives the folder fewer rights.
            Path(path).chmod(mode)
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"Cannot listen at {path}: {error.strerror or error} (--uds)") from None
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if Path(path).stat().st_ino == ours:
                    Path(path).unlink()


def _remove_left_over(path: str) -> int:
    """Remove the socket of a server that was killed; the rights of the next one. Raises OSError where one listens."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return 0o666
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    Path(path).unlink()
    return stat.S_IMODE(mode)
