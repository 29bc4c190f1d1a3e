"""Both publishers in one form: what a test asks of the one, it asks of the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias

from hubbub import Position
from hubbub.client.publisher import AsyncPublisher, Publisher

Publish: TypeAlias = Callable[..., Awaitable[Position | None]]


class OpenPublisher(Protocol):
    def __call__(self, broker: str | None = None, **options: Any) -> AbstractAsyncContextManager[Publish]: ...


@asynccontextmanager
async def blocking(broker: str | None = None, **options: Any) -> AsyncIterator[Publish]:
    """As a task would: in a thread, while the hubs of the test go on in this one."""
    with Publisher(broker, **options) as publisher:

        async def publish(kind: str, *arguments: Any, **options: Any) -> Position | None:
            position: Position | None = await asyncio.to_thread(lambda: _send(publisher, kind, *arguments, **options))
            return position

        yield publish


@asynccontextmanager
async def awaiting(broker: str | None = None, **options: Any) -> AsyncIterator[Publish]:
    async with AsyncPublisher(broker, **options) as publisher:

        async def publish(kind: str, *arguments: Any, **options: Any) -> Position | None:
            position: Position | None = await _send(publisher, kind, *arguments, **options)
            return position

        yield publish


def _send(publisher: Any, kind: str, *arguments: Any, **options: Any) -> Any:
    if kind == "broadcast":
        return publisher.broadcast(*arguments)
    name, message = arguments
    return getattr(publisher, kind)(name).send(message, **options)
