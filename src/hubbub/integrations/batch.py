"""Several messages in one HTTP request, to rooms and users, each with an outcome of its own.

What is wrong with the request as a whole is refused as a whole, before anything is sent. What is wrong with one of its
messages is that one's outcome, and the others go out: in their order, and to the broker together.
"""

import asyncio
from typing import Any

from fastapi import Request

from hubbub.errors import InvalidMessage, RateLimited, Refused, Unavailable
from hubbub.hub.hub import Hub
from hubbub.integrations.answers import published
from hubbub.integrations.bodies import read_object, unprocessable
from hubbub.protocol import messages

#: Levels of the body above those of a message: the object, its list, and what says where the message goes.
_LEVELS = 3

_FIELDS = ("room", "user", "message", "keep", "idempotency_key")

#: The request, as OpenAPI has it. Said by hand, because FastAPI does not see a body here.
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["messages"],
                    "additionalProperties": False,
                    "properties": {
                        "messages": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["message"],
                                "oneOf": [{"required": ["room"]}, {"required": ["user"]}],
                                "additionalProperties": False,
                                "properties": {
                                    "room": {"type": "string", "minLength": 1},
                                    "user": {"type": "string", "minLength": 1},
                                    "message": {
                                        "type": "object",
                                        "required": ["type"],
                                        "properties": {"type": {"type": "string"}},
                                    },
                                    "keep": {"type": "boolean", "default": True},
                                    "idempotency_key": {"type": "string", "minLength": 1, "maxLength": 128},
                                },
                            },
                        }
                    },
                }
            }
        },
    }
}


async def read_batch(request: Request, hub: Hub) -> list[Any]:
    """The messages as they came, not looked at yet. Raises HTTPException, as `read_object` does."""
    limits = hub.limits
    if "idempotency-key" in request.headers:
        raise unprocessable("header", "idempotency-key", "each message of a batch has its own idempotency_key")
    if "keep" in request.query_params:
        raise unprocessable("query", "keep", "each message of a batch has its own keep")
    fields = await read_object(
        request,
        limit=limits.batch_bytes,
        what=f"the body has more than the {limits.batch_bytes} bytes of Limits.batch_bytes",
        depth=limits.depth + _LEVELS,
    )
    for name in fields:
        if name != "messages":
            raise unprocessable("body", name, "a batch has messages and nothing else")
    listed = fields.get("messages")
    if not isinstance(listed, list):
        raise unprocessable("body", "messages", "messages is a list")
    if len(listed) > limits.batch:
        raise unprocessable(
            "body", "messages", f"{len(listed)} messages are more than the {limits.batch} of Limits.batch"
        )
    return listed


async def send_batch(hub: Hub, listed: list[Any]) -> dict[str, Any]:
    """What became of each, in their order."""
    return {"results": await asyncio.gather(*(_outcome(hub, each) for each in listed))}


async def _outcome(hub: Hub, each: Any) -> dict[str, Any]:
    try:
        return await _send(hub, each)
    except (InvalidMessage, RateLimited, Unavailable) as error:
        return _failed(error)
    except ValueError as error:
        return _failed(InvalidMessage(str(error), field="message"))


async def _send(hub: Hub, each: Any) -> dict[str, Any]:
    if not isinstance(each, dict):
        raise InvalidMessage('it is an object: {"room": …, "message": …}')
    for name in each:
        if name not in _FIELDS:
            raise InvalidMessage(f"it has {', '.join(_FIELDS)} and nothing else", field=name)
    if ("room" in each) == ("user" in each):
        raise InvalidMessage("it goes to a room or to a user, and not to both", field="room")
    message, keep = each.get("message"), each.get("keep", True)
    if not isinstance(message, dict):
        raise InvalidMessage("message is an object", field="message")
    if not isinstance(keep, bool):
        raise InvalidMessage("keep is true or false", field="keep")
    try:
        once = messages.check_key(each.get("idempotency_key"), field="idempotency_key")
    except ValueError as error:
        raise InvalidMessage(str(error), field="idempotency_key") from None
    if once is not None and not keep:
        raise InvalidMessage("what is not kept cannot be known by a key", field="idempotency_key")
    to = hub.room(each["room"]) if "room" in each else hub.user(each["user"])
    return published(await to.send(message, keep=keep, idempotency_key=once))


def _failed(error: Refused) -> dict[str, Any]:
    told = error.on_the_wire()
    return {"error": {name: value for name, value in told.items() if name != "type"}}
