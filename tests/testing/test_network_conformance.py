"""Without faults a network is a broker like the others. The suite waits in real time, so its clock is the real one."""

from collections.abc import Callable

import pytest

from hubbub.scheduling.clock import SystemClock
from hubbub.testing import Network
from hubbub.testing.broker import NetworkBroker
from hubbub.testing.conformance import Conformance


class TestNetworkBroker(Conformance):
    @pytest.fixture
    def new_broker(self) -> Callable[[], NetworkBroker]:
        return Network(clock=SystemClock()).broker
