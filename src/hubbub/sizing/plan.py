"""From users to machines: what so many people who do so much take of workers, broker, network and money.

Everything follows from `Demand`, `Hardware` and the measured `Costs` by arithmetic; nothing here was tried at the size
it speaks of. A core is never asked for more than `1 - headroom` of it in the long run.
"""

import math
from dataclasses import dataclass, fields

from hubbub.errors import ConfigurationError
from hubbub.sizing.costs import Costs

#: Of IPv4, TCP and its time stamps, for each segment.
TCP_IP = 52
#: Seconds between two pings: the default of `Heartbeat(interval=)`.
HEARTBEAT = 25.0
_MONTH = 365.25 * 86_400 / 12
_GIB = float(2**30)
#: Handshake both ways, `welcome`, a token, the room's answer: bytes, generously.
_ARRIVAL = 2_500
_LEAST_WORKERS = 2


class WrongSize(ConfigurationError):
    """`setting` is the field at fault, by which a command line finds its flag."""

    def __init__(self, setting: str, rule: str) -> None:
        super().__init__(f"{setting} {rule}")
        self.setting = setting
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    users: who have the application. online: the share of them at the busiest time. tabs: connections of one who is.
    rooms: how many rooms are occupied then; each user's own inbox is not one of them.
    messages: a second, into rooms and to users. fanout: connections that one of them reaches.
    size: bytes of a message's content. requests: typed messages of clients a second that only their sender is answered.
    history_size, history_ttl: what a room keeps, `History(size=, ttl=)`; 0 keeps nothing.
    presence: whether rooms tell who is there. stay: seconds that a connection lasts.
    """

    users: int = 10_000
    online: float = 0.1
    tabs: float = 1.2
    rooms: int = 1_000
    messages: float = 100.0
    fanout: float = 10.0
    size: int = 200
    requests: float = 0.0
    history_size: int = 0
    history_ttl: float = 3_600.0
    presence: bool = False
    stay: float = 1_800.0

    def __post_init__(self) -> None:
        _check(self, users=(1, 1e11), online=(1e-6, 1), tabs=(1, 1000), rooms=(1, 1e11), messages=(0, 1e10))
        _check(self, fanout=(1, 1e11), size=(1, 512 * 1024), requests=(0, 1e10), history_size=(0, 1e7))
        _check(self, history_ttl=(1, 1e9), stay=(1, 1e7))

    @property
    def connections(self) -> int:
        return max(1, math.ceil(self.users * self.online * self.tabs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """
    cores, memory: of one machine, in GiB, of which `machine_price` is paid a month. speed: what a core does, in what
    one of the measured machine does. headroom: the share of everything that stays free. per_worker: connections of one
    worker at most. back: seconds in which all are to be back after a storm; clients that wait longer than they have
    patience come again, for nothing. handshakes: of `Limits`. broker_memory, broker_price: of one machine for a broker.
    egress_price: of a GiB that leaves.
    """

    cores: int = 4
    memory: float = 16.0
    speed: float = 1.0
    headroom: float = 0.5
    per_worker: int = 15_000
    back: float = 20.0
    handshakes: float = 1_000.0
    broker_memory: float = 16.0
    machine_price: float = 140.0
    broker_price: float = 140.0
    egress_price: float = 0.05

    def __post_init__(self) -> None:
        _check(self, cores=(1, 1024), memory=(0.5, 65_536), speed=(0.01, 100), headroom=(0, 0.95))
        _check(self, per_worker=(1, 65_536), back=(1, 86_400), handshakes=(0.1, 1e6), broker_memory=(0.1, 65_536))
        _check(self, machine_price=(0, 1e7), broker_price=(0, 1e7), egress_price=(0, 1e4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Cores are busy ones, before headroom; sizes bytes; rates are a second; prices a month, in the unit they were given.
    `workers_for` says how many workers each reason alone would ask for, and `broker_for` how many shards.
    """

    connections: int
    deliveries: float
    arrivals: float
    copies: float
    workers: int
    workers_for: dict[str, int]
    machines: int
    cores: float
    worker_memory: float
    worker_handshakes: float
    memory: float
    broker_shards: int
    broker_for: dict[str, float]
    broker_commands: float
    broker_cores: float
    broker_memory: float
    broker_network: float
    egress: float
    egress_month: float
    price_machines: float
    price_brokers: float
    price_egress: float
    deploy_work: float
    storm_work: float
    storm_back: float

    @property
    def price(self) -> float:
        return self.price_machines + self.price_brokers + self.price_egress

    @property
    def first_limit(self) -> str:
        """What asks for most workers."""
        return max(self.workers_for, key=lambda reason: self.workers_for[reason])


def plan(demand: Demand, hardware: Hardware, costs: Costs) -> Plan:
    """What it takes. Raises WrongSize where a core has no more than a worker takes that does nothing."""
    connections = demand.connections
    deliveries = demand.messages * demand.fanout
    arrivals = connections / demand.stay
    usable = 1 - hardware.headroom
    core = hardware.speed * usable
    if costs.worker_idle_ms_per_s / 1_000 >= core:
        # Each worker more would ask for another one.
        raise WrongSize("headroom", f"leaves {core:g} of a core, and a worker takes as much that does nothing")
    each_back = back_each(demand, costs)
    fixed = {
        "connections": math.ceil(connections / hardware.per_worker),
        "storm": math.ceil(connections * each_back / hardware.speed / hardware.back),
        "a spare": _LEAST_WORKERS,
    }
    workers = max(fixed.values())
    while True:
        copies = demand.messages * spread(demand.fanout, workers)
        busy = _busy(demand, costs, workers, copies, arrivals)
        needed = math.ceil(busy / core)
        if needed <= workers:
            break
        workers = needed
    machines = max(1, math.ceil(workers / hardware.cores))
    each = costs.joined if demand.presence else costs.idle
    memory = workers * costs.worker + connections * each
    machines = max(machines, math.ceil(memory / (hardware.memory * _GIB * usable)))
    commands = demand.messages * (
        costs.kept_message_broker_commands if demand.history_size else costs.message_broker_commands
    )
    commands += workers * costs.worker_idle_broker_commands_per_s
    broker_busy = _broker_busy(demand, costs, copies, arrivals)
    broker_memory = _broker_memory(demand, costs)
    network = copies * (demand.size + costs.delivery_bytes_beside_content + TCP_IP)
    broker_for = {
        "processor": broker_busy / core,
        "memory": broker_memory / (hardware.broker_memory * _GIB * usable),
    }
    shards = 0 if workers == 1 else max(1, *(math.ceil(reason) for reason in broker_for.values()))
    egress = _egress(demand, costs, deliveries, arrivals)
    month = egress * _MONTH
    return Plan(
        connections=connections,
        deliveries=deliveries,
        arrivals=arrivals,
        copies=copies,
        workers=workers,
        workers_for={**fixed, "processor": needed},
        machines=machines,
        cores=busy / hardware.speed,
        worker_memory=costs.worker + connections / workers * each,
        worker_handshakes=hardware.speed / each_back if each_back else math.inf,
        memory=memory,
        broker_shards=shards,
        broker_for=broker_for,
        broker_commands=commands,
        broker_cores=broker_busy / hardware.speed,
        broker_memory=broker_memory,
        broker_network=network,
        egress=egress,
        egress_month=month,
        price_machines=machines * hardware.machine_price,
        price_brokers=shards * hardware.broker_price,
        price_egress=month / _GIB * hardware.egress_price,
        deploy_work=connections * (each_back + costs.leave) / hardware.speed
        + workers * costs.worker_start / hardware.speed,
        storm_work=connections * each_back / hardware.speed,
        storm_back=connections * each_back / hardware.speed / workers,
    )


def spread(fanout: float, workers: int) -> float:
    """How many of the workers have one of `fanout` members who are anywhere, on the average."""
    return workers * -math.expm1(fanout * math.log1p(-1 / workers)) if workers > 1 else 1.0


def back_each(demand: Demand, costs: Costs) -> float:
    """What one who comes back costs a worker."""
    if demand.history_size:
        return costs.rejoin
    return costs.enter_with_presence if demand.presence else costs.enter


def _busy(demand: Demand, costs: Costs, workers: int, copies: float, arrivals: float) -> float:
    message = costs.kept_message if demand.history_size else costs.message
    elsewhere = max(0.0, copies - demand.messages)
    return (
        demand.messages * (message + demand.fanout * costs.delivery)
        + elsewhere * costs.receive
        + demand.requests * costs.request
        + arrivals * (back_each(demand, costs) + costs.leave)
        + demand.connections / HEARTBEAT * costs.heartbeat
        + workers * costs.worker_idle_ms_per_s / 1_000
    )


def _broker_busy(demand: Demand, costs: Costs, copies: float, arrivals: float) -> float:
    message = costs.kept_message_broker if demand.history_size else costs.message_broker
    enters = costs.enter_with_presence_broker if demand.presence else costs.enter_broker
    if demand.history_size:
        enters = max(enters, costs.rejoin_broker)
    return demand.messages * message + max(0.0, copies - demand.messages) * costs.broker_copy + arrivals * enters


def _broker_memory(demand: Demand, costs: Costs) -> float:
    each = costs.present_broker_bytes if demand.presence else costs.online_broker_bytes
    # No room keeps more than came within the time.
    kept = min(demand.rooms * demand.history_size, demand.messages * demand.history_ttl if demand.history_size else 0)
    return demand.connections * each + kept * (demand.size + costs.kept_broker_bytes)


def _egress(demand: Demand, costs: Costs, deliveries: float, arrivals: float) -> float:
    return (
        deliveries * (demand.size + costs.delivery_bytes_beside_content + TCP_IP)
        + demand.requests * (demand.size + costs.delivery_bytes_beside_content + TCP_IP)
        + demand.connections / HEARTBEAT * (costs.heartbeat_bytes + 2 * TCP_IP)
        + arrivals * _ARRIVAL
    )


def _check(group: object, **bounds: tuple[float, float]) -> None:
    types = {field.name: field.type for field in fields(group)}  # type: ignore[arg-type]
    for name, (least, most) in bounds.items():
        value = getattr(group, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise WrongSize(name, f"is a number from {least:g} to {most:,.0f}, not {value!r}")
        if types[name] is int and value != int(value):
            raise WrongSize(name, f"is a whole number, not {value!r}")
