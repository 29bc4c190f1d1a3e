"""One that is in a room tries for what it was not given there: its history, who else is in it, to speak."""

from typing import Literal

from pydantic import BaseModel

from hubbub import Connection, History, Hub, User
from tests.kit.client import Tab
from tests.kit.raw_peers import OURS
from tests.kit.serving import Names, serving, simple


class Post(BaseModel):
    type: Literal["post"] = "post"
    room: str


async def trusted(user: User) -> bool:
    return user.id == "ann"


async def test_it_gets_nothing_by_any_message_of_the_protocol() -> None:
    hub = Hub(auth=Names())
    kept = {"history": History(size=100, ttl=60), "presence": True, "presence_data": True}

    @hub.rooms("news:{name}", may_publish=trusted, may_read_history=trusted, may_see_presence=trusted, **kept)  # type: ignore[arg-type]
    async def news(name: str) -> bool:
        return True

    @hub.on(Post)
    async def post(message: Post, connection: Connection) -> None:
        await connection.room(message.room).send({"type": "posted", "by": connection.user.id})

    async with serving(simple(hub), **OURS) as server, Tab(server.ws, token="ann") as ann:
        told = await ann.join("news:a")
        for _ in range(5):
            await ann.ask({"type": "post", "room": "news:a"})
        since = {"epoch": told["epoch"], "offset": 0}
        async with Tab(server.ws, token="eve", features={"presence"}) as eve:
            for number in range(20):
                await eve.send({"type": "join_room", "room": "news:a", "since": since, "id": f"one {number}"})
                await eve.send({"type": "join_room", "rooms": [{"room": "news:a", "since": since}], "id": f"{number}"})
                await eve.send({"type": "set_presence", "room": "news:a", "presence": {"n": 1}, "id": f"s{number}"})
                await eve.send({"type": "post", "room": "news:a", "id": f"post {number}"})
                await eve.receive("error", id=f"post {number}", code="forbidden")
            await eve.send({"type": "leave_room", "room": "news:a"})
            await eve.receive("room_left")
            seen = {each["type"] for each in eve.log}
            assert seen == {"welcome", "room_joined", "ack", "error", "room_left"}
            joined = [each for each in eve.log if each["type"] == "room_joined"]
            assert len(joined) == 40
            assert {key for each in joined for key in each} == {"type", "room", "recovered", "id"}
        await ann.nothing("posted", during=0.0)
