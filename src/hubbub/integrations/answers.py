"""What a request to publish is answered, in the form in which OpenAPI has it."""

from typing import Any

from pydantic import BaseModel

from hubbub.types import Position


class Place(BaseModel):
    epoch: str
    offset: int


class Published(BaseModel):
    """`position`: null where it is not kept."""

    position: Place | None


class Fault(BaseModel):
    """`code` and `field` as an `error` of the protocol has them."""

    code: str
    message: str
    field: str = ""


class Failed(BaseModel):
    error: Fault


class Results(BaseModel):
    """In the order of the messages."""

    results: list[Published | Failed]


def published(position: Position | None) -> dict[str, Any]:
    return {"position": None if position is None else {"epoch": position.epoch, "offset": position.offset}}
