"""Requests that are sent behind each other, by a client that does not wait to see them answered."""

import pytest
from starlette.responses import Response

from tests.kit.raw_peers import Both, Peer
from tests.kit.waiting import until
from tests.transports.resources import gone

pytestmark = pytest.mark.usefixtures("no_traceback")


async def test_a_client_that_has_gone_is_written_to_by_none_of_them(server: Both) -> None:
    answered: list[int] = []

    @server.app.get("/large")
    async def large() -> Response:
        answered.append(len(answered))
        return Response(bytes(1_000_000))

    peer = await Peer(server.address, buffer=4096).open(head=False)
    await peer.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    await until(lambda: answered, "the first is being answered")
    await peer.drop()
    await gone(server)
    assert len(answered) < 50
