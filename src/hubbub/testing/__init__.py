"""Tools for testing what is built on Hubbub, and what Hubbub is built on.

`Tab` is a client in the test's own process, `Client` one on a real socket, `Network` a cluster in one process, with
faults and a `ManualClock`. What clients saw is in their `Ledger`, and `checks` says what in it is wrong.

Knows the face, brokers, transports, scheduling, ports, protocol and the ground.
"""

from hubbub.testing import checks
from hubbub.testing.checks import Acknowledged
from hubbub.testing.client import Client
from hubbub.testing.clock import ManualClock, settle
from hubbub.testing.conversation import Lost, Refusal
from hubbub.testing.ledger import Ledger
from hubbub.testing.network import Network
from hubbub.testing.node import Node
from hubbub.testing.reading import Violation, Wrong
from hubbub.testing.tab import Tab

__all__ = [
    "Acknowledged",
    "Client",
    "Ledger",
    "Lost",
    "ManualClock",
    "Network",
    "Node",
    "Refusal",
    "Tab",
    "Violation",
    "Wrong",
    "checks",
    "settle",
]
