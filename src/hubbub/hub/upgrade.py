"""What a plain request to the hub's own route is answered: 426, and how to come in.

A browser's address bar, a health check, or a WebSocket whose `Upgrade` a proxy has swallowed: 404 would send whoever
looks for the reason to the routes, where everything is right. It is a partial match, so a page of the application's
under the same path is served as ever.
"""

from fastapi.routing import APIRoute
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

_SENTENCE = (
    "This address speaks WebSocket: open it by ws:// or wss:// with a WebSocket client. "
    "Where one was used, a proxy in between does not pass the Upgrade header on"
)
# RFC 9110 section 15.5.22 asks for `Upgrade`, 7.8 for naming it in `Connection`, RFC 6455 section 4.4 for the version.
_HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Cache-Control": "no-store",
}


class UpgradeRequired(APIRoute):
    """Every method; an `APIRoute`, because FastAPI keeps the class of those only when a router is included."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.NONE if match is Match.NONE else Match.PARTIAL), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({"detail": _SENTENCE}, 426, _HEADERS)(scope, receive, send)


async def upgrade_required() -> None:
    """Stands for what `UpgradeRequired` answers."""
