"""`hubbub token`: a JWT for trying things out, signed with HUBBUB_SECRET."""

import re

from hubbub.auth.jwt import JWTAuth
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def token(user: str, settings: Settings, *, expires: str, audience: str | None) -> str:
    """The token for the user `user`. Raises ConfigurationError without a usable secret, name or time."""
    if settings.secret is None:
        raise ConfigurationError(
            "There is no secret to sign with: set HUBBUB_SECRET, here or in .env, to the server's "
            "(--dev without one generates its own, which only that server knows)"
        )
    auth = JWTAuth(settings.secret.get_secret_value(), audience=audience)
    try:
        return auth.sign(user, expires_in=duration(expires))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def duration(text: str) -> int:
    """Seconds of `45s`, `30m`, `12h`, `1d`, or of a bare number. Raises ConfigurationError for anything else."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or not int(match[1]):
        raise ConfigurationError(f"--expires is a time like 45s, 30m, 12h or 1d, not {text!r}")
    return int(match[1]) * _SECONDS[match[2]]
