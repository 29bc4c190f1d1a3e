"""What every broker promises, as tests that pytest runs on yours.

Inherit `Conformance` in a test module and give it the fixture `new_broker`: a function that makes a broker, not
started, each time it is called. Those of one test have to meet, and to find nothing that an earlier test left.

    import pytest
    from hubbub.testing.conformance import Conformance

    class TestMyBroker(Conformance):
        @pytest.fixture
        def new_broker(self, empty_server):
            return lambda: MyBroker(empty_server.url)

No plugin is needed. The clock that leases and messages run out by has to be a real one. What only faults show (a
server that goes away, forgets, or goes back to an older state) is yours to test.
"""

import pytest

_PARTS = ("counts", "edges", "history", "leases", "life", "meeting", "messages", "presence", "revocations", "showing")
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from hubbub.testing.conformance.counts import Counts  # noqa: E402 - pytest has to know of them before
from hubbub.testing.conformance.edges import EdgesLogged  # noqa: E402
from hubbub.testing.conformance.history import Histories  # noqa: E402
from hubbub.testing.conformance.leases import Leases  # noqa: E402
from hubbub.testing.conformance.life import Life  # noqa: E402
from hubbub.testing.conformance.messages import Messages  # noqa: E402
from hubbub.testing.conformance.presence import Presence  # noqa: E402
from hubbub.testing.conformance.revocations import Revocations  # noqa: E402
from hubbub.testing.conformance.showing import ShownByHolders  # noqa: E402


class Conformance(Messages, Histories, Presence, ShownByHolders, EdgesLogged, Leases, Counts, Revocations, Life):
    """All of it."""
