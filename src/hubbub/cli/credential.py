"""Who a command is to a running server, and where it connects to it: for `bench`, `tail` and `doctor`.

A token is shown to the server and to nobody else.
"""

from collections.abc import Callable
from urllib.parse import quote

from hubbub.auth.jwt import JWTAuth
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError
from hubbub.loadtest.workloads import Target

_PATH = "/ws"
_GUESTS = "/ws/chat/{user}"
_LIFETIME = 86_400


def check_token(token: str) -> str:
    """The token itself. Raises ConfigurationError where it cannot travel."""
    if not token or not token.isascii() or not token.isprintable() or set(token) & set(' ,"'):
        raise ConfigurationError("HUBBUB_TOKEN is a token as it travels: ASCII, without spaces")
    return token


def signer(token: str | None, settings: Settings) -> Callable[[str], str] | None:
    """Of each user its token: the one that was given, or one signed with the secret; None where there is neither.

    Raises ConfigurationError for a token or a secret that cannot be used.
    """
    if token is not None:
        given = check_token(token)
        return lambda user: given
    if settings.secret is None:
        return None
    auth = JWTAuth(settings.secret.get_secret_value())
    return lambda user: auth.sign(user, expires_in=_LIFETIME)


def endpoint(path: str | None, *, credential: bool) -> str:
    """The path, with `{user}` in it where it is the guests'."""
    return path or (_PATH if credential else _GUESTS)


def target_of(url: str) -> Target:
    """Raises ConfigurationError that names the flag."""
    try:
        return Target.parse(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"--url: {error}") from None


def socket_url(target: Target, path: str, user: str) -> str:
    """Raises ConfigurationError for a path that is none."""
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ConfigurationError(f"--path is like /ws or /ws/chat/{{user}}, percent-encoded, not {path!r}")
    scheme = "wss" if target.tls else "ws"
    return f"{scheme}://{target.authority}{path.replace('{user}', quote(user, safe=''))}"


def http_url(target: Target, path: str) -> str:
    return f"{'https' if target.tls else 'http'}://{target.authority}{path}"
