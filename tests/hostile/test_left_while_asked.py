"""Who leaves while somebody looks at the credential it sent: nothing is taken for it afterwards."""

import asyncio

from hubbub import Connection, Hub, Rate
from tests.kit.inside import inside
from tests.kit.raw_peers import OURS, TEXT, Peer, frame
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.waiting import until

AUTH = frame(TEXT, b'{"type":"auth","token":"ann"}')


async def test_nothing_is_kept_of_who_left_while_its_first_token_was_looked_up() -> None:
    names = Names(gate=asyncio.Event())
    hub = Hub(auth=names, rate=Rate())
    met: list[str] = []

    @hub.on_connect
    async def meet(connection: Connection) -> None:
        met.append(connection.id)

    async with serving(simple(hub), **OURS) as server:
        peer = await Peer(server, "/ws").open()
        await peer.send(AUTH)
        await until(lambda: names.asked, "it is looked up")
        await peer.drop()
        await until(lambda: not server.server.server_state.connections, "gone")
        assert names.gate is not None
        names.gate.set()
        await at_rest(hub)
        context = inside(hub).endpoint.context
        assert context.allowances is not None
        assert context.hooks is not None
        assert len(context.allowances) == 0
        assert not met
        assert len(context.hooks) == 0


async def test_nothing_is_kept_of_who_left_while_a_newer_token_was_looked_up() -> None:
    names = Names()
    hub = Hub(auth=names, rate=Rate())
    async with serving(simple(hub), **OURS) as server:
        peer = await Peer(server).open()
        await peer.frame()  # `welcome`
        names.gate = asyncio.Event()
        await peer.send(AUTH)
        await until(lambda: len(names.asked) == 2, "it is looked up")
        await peer.drop()
        await until(lambda: not server.server.server_state.connections, "gone")
        names.gate.set()
        await at_rest(hub)
        allowances = inside(hub).endpoint.context.allowances
        assert allowances is not None
        assert len(allowances) == 0
