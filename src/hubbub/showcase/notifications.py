"""A service finishes work and tells whoever asked for it, in all their tabs. The service gets the hub injected."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from hubbub import HubDep, JWTAuth, User
from hubbub.showcase.login import caller

_NUMBER = re.compile("0|[1-9][0-9]{0,14}")


class Certificate(BaseModel):
    id: int | str
    status: Literal["processed"] = "processed"
    volume: float


class CertificateProcessed(BaseModel):
    type: Literal["certificate_processed"] = "certificate_processed"
    data: Certificate


class Certificates:
    """What an application's own service looks like: it asks for the hub as it would for a database session."""

    def __init__(self, hub: HubDep) -> None:
        self._hub = hub

    async def process(self, id: int | str, user: User) -> Certificate:
        certificate = Certificate(id=id, volume=_volume(id))
        await self._hub.user(user.id).send(CertificateProcessed(data=certificate))
        return certificate


def _volume(id: int | str) -> float:
    """The same certificate always has the same volume."""
    return round(sum(str(id).encode()) * 7.5 % 1000, 1)


def _as_meant(id: str) -> int | str:
    """A number where it is written as one, so that what is answered reads as what was asked.

    Of as many digits as every reader of JSON takes (RFC 8259 section 6).
    """
    return int(id) if _NUMBER.fullmatch(id) else id


def routes(auth: JWTAuth) -> APIRouter:
    router = APIRouter()

    @router.post("/api/certificates/{id}/process")
    async def process(
        id: str,
        user: Annotated[User, Depends(caller(auth))],
        certificates: Annotated[Certificates, Depends()],
    ) -> Certificate:
        return await certificates.process(_as_meant(id), user)

    return router
