"""The showcase: small, whole examples of what people build. `hubbub serve` runs it where no application is named.

`create_app` is the whole of it: one hub, its router, and one module for each example.
"""

import os

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hubbub import Hub, JWTAuth
from hubbub.integrations.admin import admin
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from hubbub.showcase import chat, dashboard, login, notifications, pages

COOKIE = "hubbub"


def create_app() -> FastAPI:
    """Reads HUBBUB_BROKER, HUBBUB_SECRET, HUBBUB_DEV, HUBBUB_HOST, HUBBUB_PUBLISH_KEY and HUBBUB_ADMIN_KEY.

    Raises ConfigurationError without a secret.
    """
    development = os.environ.get("HUBBUB_DEV") == "1"
    key = os.environ.get("HUBBUB_PUBLISH_KEY")
    auth = JWTAuth(cookie=COOKIE)
    hub = Hub(auth=auth, announce_users=True, inbox=chat.KEPT)
    app = FastAPI(title="Hubbub showcase", docs_url=None, redoc_url=None)
    app.include_router(hub.router)
    app.include_router(operations())
    app.include_router(publishing(keys=[key] if key else [], anyone=development))
    if os.environ.get("HUBBUB_ADMIN_KEY"):
        app.include_router(admin(), prefix="/admin")
    app.include_router(login.routes(auth, development=development))
    app.include_router(dashboard.routes(hub))  # before the chat, whose rooms may have any name
    app.include_router(chat.routes(hub, development=development))
    app.include_router(notifications.routes(auth))
    app.include_router(pages.routes())
    pages.mount_static(app)
    if development:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_development_hosts(), www_redirect=False)
    return app


def _development_hosts() -> list[str]:
    """Loopback and what `--host` says: development lets anyone in, and a web page may resolve its own name to us.

    Older Starlettes see no more of an IPv6 address than "[": there all of them pass. An address is not a name, so it
    cannot be made to resolve to anything.
    """
    host = os.environ.get("HUBBUB_HOST") or "127.0.0.1"
    return ["localhost", "127.0.0.1", "[::1]", "[", f"[{host}]" if ":" in host else host]


def __getattr__(name: str) -> FastAPI:
    # Made when a server asks for it, so that importing this module needs no secret.
    if name == "app":
        return create_app()
    raise AttributeError(name)
