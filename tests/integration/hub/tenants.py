"""A middleware that says whose a connection is, by a context variable; and a message that asks."""

from contextvars import ContextVar
from typing import Any, Literal

from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody's")
MARK: ContextVar[str] = ContextVar("mark", default="unset")


class Tenants:
    """A middleware as people write it: the variable is there for the length of the call."""

    def __init__(self, app: ASGIApp, sent: list[tuple[str, str]] | None = None) -> None:
        self.app = app
        self.sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if self.sent is not None and "text" in message:
                self.sent.append((TENANT.get(), message["text"]))
            await send(message)

        tenant = dict(scope.get("headers", ())).get(b"x-tenant")
        if tenant is None:
            await self.app(scope, receive, noted)
            return
        token = TENANT.set(tenant.decode())
        try:
            await self.app(scope, receive, noted)
        finally:
            TENANT.reset(token)


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: str = ""


def belonging(tenant: str) -> dict[str, Any]:
    return {"additional_headers": {"x-tenant": tenant}}
