"""Whether secrets are secret: long enough, and not what anybody would try first. None of them is ever shown."""

import os
from collections.abc import Iterator

from hubbub.auth.keys import SHORTEST, weakness
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings, revealed

_MAKE = """a new one: python -c "import secrets; print(secrets.token_urlsafe(32))\""""


def credentials(settings: Settings) -> Iterator[Finding]:
    secret = revealed(settings.secret)
    if secret is None:
        said = "none: --dev makes one" if settings.dev else "none: JWTAuth() without key= does not start"
        yield Finding(About.SECRET, "ok", said)
    elif len(secret.encode()) < SHORTEST:
        said = f"{len(secret.encode())} bytes, and tokens are signed with at least {SHORTEST}"
        yield Finding(About.SECRET, "wrong", said, f"HUBBUB_SECRET: {_MAKE}")
    else:
        yield _guessed(About.SECRET, "HUBBUB_SECRET", secret)
    keys = (
        (About.PUBLISH_KEY, "HUBBUB_PUBLISH_KEY", revealed(settings.publish_key)),
        (About.ADMIN_KEY, "HUBBUB_ADMIN_KEY", os.environ.get("HUBBUB_ADMIN_KEY")),
    )
    for name, variable, key in keys:
        if key and name is About.ADMIN_KEY and len(key.encode()) < SHORTEST:
            said = f"{len(key.encode())} bytes, and admin() does not start with fewer than {SHORTEST}"
            yield Finding(name, "wrong", said, f"{variable}: {_MAKE}")
        elif key:
            yield _guessed(name, variable, key)


def _guessed(name: About, variable: str, secret: str) -> Finding:
    why = weakness(secret)
    if why is None:
        return Finding(name, "ok", "long enough, and nothing that is tried first")
    return Finding(name, "weak", why, f"{variable}: {_MAKE}")
