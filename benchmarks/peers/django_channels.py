"""Django Channels on uvicorn with its in-memory layer."""

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

settings.configure(
    SECRET_KEY="for a benchmark on loopback",
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()


class Chat(AsyncWebsocketConsumer):
    room = ""

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.room:
            await self.channel_layer.group_send(self.room, {"type": "room.message", "text": text_data})
        else:
            self.room = text_data
            await self.channel_layer.group_add(self.room, self.channel_name)
            await self.send(text_data='{"type":"room_joined"}')

    async def room_message(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter({"websocket": URLRouter([path("rooms", Chat.as_asgi())])})
