"""What a request to publish carries, read as strictly as a client's frame; and how it is refused.

Not by `Body()`: FastAPI's answer to a body repeats it, and fails on one with NaN or half a surrogate pair.
"""

from typing import Any

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from hubbub.errors import InvalidMessage
from hubbub.protocol.codec import decode


async def read_object(request: Request, *, limit: int, what: str, depth: int) -> dict[str, Any]:
    """The JSON object in the body. `limit`: bytes it may have, and `what` says so where it has more.

    Raises HTTPException 422, and 400 where the body ended too early.
    """
    if not _is_json(request.headers.get("content-type", "")):
        raise unprocessable("body", "", "the body is JSON and says so: Content-Type: application/json")
    body = bytearray()
    try:
        async for chunk in request.stream():
            if len(body) <= limit:  # the rest is read and forgotten, so that the client reads the answer
                body += chunk
    except ClientDisconnect:
        raise HTTPException(400, "the body ended too early") from None
    if len(body) > limit:
        raise unprocessable("body", "", what)
    try:
        return decode(body.decode(), depth=depth)
    except UnicodeDecodeError:
        raise unprocessable("body", "", "not UTF-8") from None
    except InvalidMessage as error:
        raise unprocessable("body", error.field, error.message) from None


def unprocessable(where: str, field: str | None, message: str) -> HTTPException:
    """In the form of FastAPI's own."""
    return HTTPException(422, [{"loc": [where, field] if field else [where], "msg": message}])


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
