"""The ways to reach a server, and what became of the socket there."""

import pytest

from hubbub import Hub
from hubbub.transports.direct import DirectTransport
from tests.kit.client import Tab
from tests.kit.serving import connection_of

HTTP = pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
ROUTES = pytest.mark.parametrize("path", ["/ws", "/plain"])


def fast(hub: Hub, tab: Tab) -> DirectTransport:
    transport = connection_of(hub, tab).outbound.transport
    assert isinstance(transport, DirectTransport)
    return transport
