"""A presence actor between a broker that answers when the test says so and a clock that it moves."""

import asyncio

from hubbub.options import RoomOptions
from hubbub.presence.notices import Notices
from hubbub.presence.showing import Showing
from hubbub.presence.tracker import PresenceTracker
from hubbub.scheduling.tasks import Background
from hubbub.testing import ManualClock, settle
from hubbub.types import NodeId, Topic, room_topic
from tests.kit.scripted import ScriptedBroker

ROOM = room_topic("r")


class OneTracker:
    def __init__(self, *, announce_users: bool = False, grace: float = 0.0, batch: int = 64) -> None:
        self.broker, self.background = ScriptedBroker(), Background()
        self.clock = ManualClock()
        self.showing = Showing()
        self.options: dict[str, RoomOptions] = {}
        self.notices = Notices(
            lambda room: self.options.get(room, RoomOptions(presence=True)), self.showing, announce_users=announce_users
        )
        self.presence = PresenceTracker(
            self.broker,
            NodeId("node"),
            self.background.spawn,
            self.clock,
            self.notices,
            self.showing,
            grace=grace,
            batch=batch,
        )

    async def enter(self, topic: str = ROOM, member: str = "ann") -> asyncio.Task[None]:
        task = asyncio.create_task(self.presence.enter(Topic(topic), member))
        await settle()
        return task

    async def leave(self) -> None:
        self.presence.leave("room:r", "ann")
        await settle()

    async def entered(self) -> None:
        task = await self.enter()
        await self.broker.only("enter room:r").ok(value=True)
        await task
