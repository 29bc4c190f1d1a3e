"""A broker for unit tests of the actors, whose calls end when the test says so."""

import asyncio
from dataclasses import dataclass
from typing import Any

from hubbub.errors import Unavailable
from hubbub.testing import settle


@dataclass
class Call:
    name: str
    topic: str
    rest: tuple[Any, ...]
    end: asyncio.Future[Any]

    async def ok(self, value: Any = None) -> None:
        self.end.set_result(value)
        await settle()

    async def fail(self) -> None:
        self.end.set_exception(Unavailable())
        await settle()


class ScriptedBroker:
    def __init__(self) -> None:
        self.log: list[str] = []
        """Every call so far: name and topic."""
        self.pending: list[Call] = []
        self.ready = True

    async def _call(self, name: str, topic: str, *rest: Any) -> Any:
        self.log.append(f"{name} {topic}")
        call = Call(name, topic, rest, asyncio.get_running_loop().create_future())
        self.pending.append(call)
        try:
            return await call.end
        finally:
            self.pending.remove(call)

    def only(self, what: str) -> Call:
        """The one call that waits, which is this one."""
        [call] = self.pending
        assert f"{call.name} {call.topic}" == what
        return call

    async def publish(self, topic: str, data: bytes, **rest: Any) -> Any:
        return await self._call("publish", topic, data, rest)

    async def subscribe(self, topic: str) -> None:
        await self._call("subscribe", topic)

    async def unsubscribe(self, topic: str) -> None:
        await self._call("unsubscribe", topic)

    async def enter(self, topic: str, member: str, holder: str, announce: Any = None, *, edge: Any = None) -> Any:
        return await self._call("enter", topic, member, holder, announce)

    async def leave(self, topic: str, member: str, holder: str, announce: Any = None, *, edge: Any = None) -> Any:
        return await self._call("leave", topic, member, holder, announce)

    async def show(self, topic: str, member: str, holder: str, data: bytes, **rest: Any) -> Any:
        return await self._call("show", topic, member, holder, data, rest)

    async def hide(self, topic: str, member: str, holder: str, announce: Any = None, change: Any = None) -> Any:
        return await self._call("hide", topic, member, holder, announce, change)

    async def read(self, topic: str, keep: Any, *, since: int | None = None, limit: int, reverse: bool = False) -> Any:
        return await self._call("read", topic, since, limit, reverse)

    async def turn_back(self, topic: str, keep: Any, epoch: str) -> Any:
        return await self._call("turn_back", topic, epoch)

    async def members(self, topic: str) -> Any:
        return await self._call("members", topic)

    async def shown(self, topic: str) -> Any:
        return await self._call("shown", topic)


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
