"""python-socketio on uvicorn: `emit` to a room, WebSocket transport only."""

import socketio

sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
app = socketio.ASGIApp(sio)


@sio.event
async def join(sid: str, room: str) -> str:
    await sio.enter_room(sid, room)
    return "joined"


@sio.event
async def room_message(sid: str, message: dict[str, str]) -> None:
    await sio.emit("room_message", message, room=message["room"])
