"""The pages, and the headers that keep them to themselves: no inline script or style, nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub import HubDep

_STATIC = Path(__file__).with_name("static")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes() -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)
    front = _read("index")

    @router.get("/")
    async def index(hub: HubDep) -> HTMLResponse:
        """What is here, and which worker answered."""
        return HTMLResponse(front.replace("{{node}}", hub.node), headers=_HEADERS)

    def page(name: str) -> None:
        html = _read(name)

        @router.get(f"/{name}", name=name)
        async def show() -> HTMLResponse:
            return HTMLResponse(html, headers=_HEADERS)

    for name in ("chat", "dashboard", "notifications"):
        page(name)
    return router


def mount_static(app: FastAPI) -> None:
    app.mount("/static", _WithHeaders(StaticFiles(directory=_STATIC)))


def _read(name: str) -> str:
    return (_STATIC / f"{name}.html").read_text(encoding="utf-8")


class _WithHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)
