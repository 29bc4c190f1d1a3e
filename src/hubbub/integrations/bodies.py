"""What a request to publish carries, read as strictly as a client's frame; and how it is refused.

Not by `Body()`: FastAPI's answer to a body repeats it, and fails on one with NaN or half a surrogate pair.
"""

from typing import Any

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from hubbub.errors import InvalidMessage
from hubbub.protocol.codec import decode

#: Bytes beyond its limit that are still read of a body, and forgotten: who sends a little too much reads the answer.
_FORGOTTEN = 1024 * 1024


async def read_object(request: Request, *, limit: int, what: str, depth: int) -> dict[str, Any]:
    """The JSON object in the body. `limit`: bytes it may have, and `what` says so where it has more.

    Raises HTTPException 422, 413 for too many bytes, and 400 where the body ended too early.
    """
    if not _is_json(request.headers.get("content-type", "")):
        raise unprocessable("body", "", "the body is JSON and says so: Content-Type: application/json")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit + _FORGOTTEN:
        raise _too_large(request, what, read=False)
    body, size = bytearray(), 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                body += chunk
            elif size > limit + _FORGOTTEN:
                raise _too_large(request, what, read=False)
    except ClientDisconnect:
        raise HTTPException(400, "the body ended too early") from None
    if size > limit:
        raise _too_large(request, what, read=True)
    try:
        return decode(body.decode(), depth=depth)
    except UnicodeDecodeError:
        raise unprocessable("body", "", "not UTF-8") from None
    except InvalidMessage as error:
        raise unprocessable("body", error.field, error.message) from None


def unprocessable(where: str, field: str | None, message: str) -> HTTPException:
    """In the form of FastAPI's own."""
    return HTTPException(422, [{"loc": [where, field] if field else [where], "msg": message}])


def _too_large(request: Request, what: str, *, read: bool) -> HTTPException:
    """`read`: to its end. Where not, the connection ends with the answer, by versions of HTTP that say so."""
    ends = not read and request.scope.get("http_version", "1.1").startswith("1")
    return HTTPException(413, [{"loc": ["body"], "msg": what}], {"Connection": "close"} if ends else None)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
