"""Litestar's channels plugin on its memory backend."""

from litestar import Litestar, WebSocket, websocket
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.exceptions import WebSocketDisconnect


@websocket("/rooms")
async def chat(socket: WebSocket, channels: ChannelsPlugin) -> None:
    await socket.accept()
    room = await socket.receive_text()
    async with (
        channels.start_subscription([room]) as subscriber,
        subscriber.run_in_background(socket.send_text, join=False),
    ):
        await socket.send_text('{"type":"room_joined"}')
        try:
            while True:
                channels.publish((await socket.receive_text()).encode(), room)
        except WebSocketDisconnect:
            pass


app = Litestar([chat], plugins=[ChannelsPlugin(backend=MemoryChannelsBackend(), arbitrary_channels_allowed=True)])
