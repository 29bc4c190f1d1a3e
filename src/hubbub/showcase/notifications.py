"""A service finishes work and tells whoever asked for it, in all their tabs. The service gets the hub injected."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from hubbub import HubDep, JWTAuth, User
from hubbub.showcase.login import caller


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


def routes(auth: JWTAuth) -> APIRouter:
    router = APIRouter()

    @router.post("/api/certificates/{id}/process")
    async def process(
        id: Annotated[int | str, Field(union_mode="left_to_right")],
        user: Annotated[User, Depends(caller(auth))],
        certificates: Annotated[Certificates, Depends()],
    ) -> Certificate:
        return await certificates.process(id, user)

    return router
