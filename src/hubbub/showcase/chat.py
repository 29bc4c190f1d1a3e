"""The chat: three messages, any room, what was said while somebody was away, guests in development, and an echo
without a hub."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from hubbub import Connection, History, Hub, HubDep
from hubbub.protocol.messages import check_name

#: Of a room, and of what was sent to one user: the last hundred, for a day.
KEPT = History(size=100, ttl=24 * 3600)


class RoomMessage(BaseModel):
    """To a room this connection is in."""

    type: Literal["room_message"] = "room_message"
    room: str
    content: str


class DirectMessage(BaseModel):
    """To all tabs of one user."""

    type: Literal["direct_message"] = "direct_message"
    to: str
    content: str


class Chat(BaseModel):
    """To everyone, the sender too."""

    type: Literal["chat"] = "chat"
    content: str


def routes(hub: Hub, *, development: bool) -> APIRouter:
    router = APIRouter()

    @hub.rooms("{room:path}", presence=True, history=KEPT)
    async def anyone(room: str) -> bool:
        return True

    @hub.on(RoomMessage)
    async def room_message(message: RoomMessage, connection: Connection) -> None:
        await connection.room(message.room).send(_from(connection, message))

    @hub.on(DirectMessage)
    async def direct_message(message: DirectMessage, connection: Connection, hub: HubDep) -> dict[str, Any]:
        user = hub.user(check_name(message.to, limit=hub.limits.name, field="to"))
        online = await user.is_online()
        await user.send(_from(connection, message))
        return {"online": online}

    @hub.on(Chat)
    async def chat(message: Chat, connection: Connection, hub: HubDep) -> None:
        await hub.broadcast(_from(connection, message))

    @router.websocket("/ws/chat/{username}")
    async def guest(websocket: WebSocket, username: str) -> None:
        if not development:
            raise HTTPException(403, "guests are let in in development only: start with --dev")
        await hub.serve(websocket, user=username)

    @router.websocket("/ws/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            async for text in websocket.iter_text():
                await websocket.send_text(f"Echo: {text}")
        except KeyError:
            await websocket.close(1003, "text only")
        except WebSocketDisconnect:
            pass

    return router


def _from(connection: Connection, message: RoomMessage | DirectMessage | Chat) -> dict[str, Any]:
    return {"type": message.type, "from": connection.user.id, "content": message.content}
