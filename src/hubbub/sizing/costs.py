"""What one of each thing costs: the constants everything here is reckoned with, named, in one unit for each kind.

Times are seconds of a processor of the machine in `measured.py`, sizes bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from hubbub.errors import ConfigurationError
from hubbub.sizing.measured import MEASURED

_UNITS = (("_ms", 1e-3), ("_us", 1e-6), ("_s", 1.0), ("_kib", 1024.0), ("_mib", 1024.0 * 1024.0), ("", 1.0))


@dataclass(frozen=True, slots=True)
class Costs:
    """As measured; `Costs.of` reads them from the measured names, which have their unit at the end.

    handshake: TCP, the WebSocket, a JWT, `welcome`. enter: that and a room without presence; enter_with_presence: with
    presence.
    rejoin: a handshake and a join with `since`, for which twenty messages are handed over that were missed.
    leave: the end of a connection that is in a room. refusal: a handshake refused with 503.
    request: a typed message from a client to its `ack`. message: one into a room without history, through handler and
    broker and back, without its deliveries; kept_message: with history. receive: one that another worker sent.
    delivery: one message to one member, alone in its turn. heartbeat: a ping and what comes back.
    idle: a connection that is in no room; joined: in a room with presence. worker: a process without connections.
    …_broker: processor time of the broker for it; broker_copy: for each further worker that hears a message.
    …_broker_commands: that it executes, those of scripts too. online_…, present_broker_bytes: what it keeps of a
    connection, and of one in a room with presence; kept_broker_bytes: of a message beside its content.
    delivery_bytes_beside_content, heartbeat_bytes: on the wire, without TCP and IP.
    """

    handshake: float
    enter: float
    enter_with_presence: float
    rejoin: float
    leave: float
    refusal: float
    request: float
    message: float
    kept_message: float
    receive: float
    delivery: float
    heartbeat: float
    worker_start: float
    worker_idle_ms_per_s: float
    idle: float
    joined: float
    worker: float
    online_broker_bytes: float
    present_broker_bytes: float
    kept_broker_bytes: float
    delivery_bytes_beside_content: float
    heartbeat_bytes: float
    handshake_broker: float
    enter_broker: float
    enter_with_presence_broker: float
    rejoin_broker: float
    message_broker: float
    kept_message_broker: float
    broker_copy: float
    message_broker_commands: float
    kept_message_broker_commands: float
    rejoin_broker_commands: float
    worker_idle_broker_commands_per_s: float

    @classmethod
    def of(cls, measured: Mapping[str, float]) -> Self:
        """Raises ConfigurationError for one that is missing."""
        return cls(**{field.name: _in_base_units(field.name, measured) for field in fields(cls)})


def _in_base_units(name: str, measured: Mapping[str, float]) -> float:
    for suffix, factor in _UNITS:
        if name + suffix in measured:
            return measured[name + suffix] * factor
    raise ConfigurationError(f"no figure was measured for {name}: python -m benchmarks.costs --write")


def measured_costs() -> Costs:
    """Those that this version ships with."""
    return Costs.of(MEASURED)
