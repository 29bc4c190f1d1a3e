"""`hubbub size`: how many workers, machines and brokers it takes, as a table or JSON; nothing is asked of any server.

Exit codes: 0; 2 a flag is wrong.
"""

import dataclasses
import json
import math
import random
from typing import Any

from hubbub.errors import ConfigurationError
from hubbub.sizing.costs import Costs, measured_costs
from hubbub.sizing.measured import COMMAND, DATE, MACHINE
from hubbub.sizing.plan import Demand, Hardware, Plan, WrongSize, back_each, plan
from hubbub.sizing.storm import Cluster, Outcome, deploy, storm

#: When the prices that are assumed were looked at: a machine of 4 cores and 16 GiB on demand, a GiB that leaves.
PRICES_OF = "2026-11"
_GIB = 2**30
_SEED = 1
#: Of all workers, how many a deploy replaces at once.
_PARTS = 10


def size(*, simulate: bool, in_json: bool, **asked: Any) -> str:
    """What is printed. `asked` are fields of Demand and Hardware, None where they were not given.

    Raises ConfigurationError for what is wrong with a flag.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    costs = measured_costs()
    try:
        demand = Demand(**{name: given[name] for name in _names(Demand) if name in given})
        hardware = Hardware(**{name: given[name] for name in _names(Hardware) if name in given})
        found = plan(demand, hardware, costs)
    except WrongSize as error:
        raise ConfigurationError(f"--{error.setting.replace('_', '-')} {error.rule}") from None
    played = _played(found, demand, hardware, costs) if simulate else {}
    if in_json:
        return json.dumps(_as_json(demand, hardware, found, played))
    return as_text(found, hardware, played)


def as_text(found: Plan, hardware: Hardware, played: dict[str, Outcome]) -> str:
    told = rows(found, hardware, played)
    names, values = (max(len(row[at]) for row in told) for at in (0, 1))
    lines = [f"{name:<{names}}  {value:>{values}}  {what}" for name, value, what in told]
    lines.append(f"An estimate. What one of each thing costs was measured on {DATE} by `{COMMAND}`")
    lines.append(f"on {MACHINE}; prices are of {PRICES_OF}, and yours to say.")
    return "\n".join(lines)


def rows(found: Plan, hardware: Hardware, played: dict[str, Outcome]) -> list[tuple[str, str, str]]:
    """What, how much, and of what."""
    reasons = ", ".join(f"{count:,} for {reason}" for reason, count in found.workers_for.items())
    broker = (
        "it takes one" if found.broker_shards == 1 else "more than one is not built yet: see docs/explain/sizing.md"
    )
    if not found.broker_shards:
        broker = "one worker needs none"
    told = [
        ("connections", f"{found.connections:,}", f"{found.arrivals:,.0f} handshakes a second as they come and go"),
        ("deliveries", f"{found.deliveries:,.0f}", f"a second; {found.copies:,.0f} messages to workers"),
        ("workers", f"{found.workers:,}", reasons),
        ("busy cores", f"{found.cores:,.1f}", f"with {hardware.headroom:.0%} left free"),
        ("memory of a worker", _bytes(found.worker_memory), f"{_bytes(found.memory)} in all, besides the kernel's"),
        ("machines", f"{found.machines:,}", f"of {hardware.cores} cores and {hardware.memory:g} GiB"),
        ("broker shards", f"{found.broker_shards:,}", broker),
        ("broker", f"{found.broker_commands:,.0f}", f"commands a second, {found.broker_cores:,.2f} busy cores in all"),
        ("broker memory", _bytes(found.broker_memory), f"{_bytes(found.broker_network)} a second to the workers"),
        ("to clients", f"{found.egress * 8 / 1e6:,.1f}", f"Mbit/s, {found.egress_month / _GIB:,.0f} GiB a month"),
        (
            "handshakes",
            f"{found.worker_handshakes:,.0f}",
            f"a second a worker can; with Limits(handshakes={hardware.handshakes:g}) it looks at "
            + ("more, and who was let in waits" if hardware.handshakes > found.worker_handshakes else "no more"),
        ),
        ("a deploy", f"{found.deploy_work:,.0f}", "processor seconds"),
        (
            "a storm",
            f"{found.storm_work:,.0f}",
            f"processor seconds; at least {found.storm_back:,.0f} s until all are back",
        ),
        (
            "a month",
            f"{found.price:,.0f}",
            f"machines {found.price_machines:,.0f}, broker {found.price_brokers:,.0f}, "
            f"traffic {found.price_egress:,.0f}",
        ),
    ]
    for name, outcome in played.items():
        told.append(
            (f"{name}, played", _seconds(outcome.all), f"half {_seconds(outcome.half)}, 99 % {_seconds(outcome.most)}")
        )
        told.append(
            ("  refused", f"{outcome.refusals:,}", f"{outcome.given_up:,} gave up, {outcome.queue:,} waited at most")
        )
        if outcome.moves:
            told.append(("  closed", f"{outcome.moves:,}", f"{outcome.moves / found.connections:.2f} times each"))
        told.append(("  processors", f"{outcome.work:,.0f}", "seconds"))
    return told


def _played(found: Plan, demand: Demand, hardware: Hardware, costs: Costs) -> dict[str, Outcome]:
    cluster = Cluster(
        clients=found.connections,
        workers=found.workers,
        handshakes=hardware.handshakes,
        come=back_each(demand, costs),
        refuse=costs.refusal,
        leave=costs.leave,
        start=costs.worker_start,
        start_takes=costs.worker_start / hardware.speed,
        processor=hardware.speed,
        at_once=max(1, found.workers // _PARTS),
    )
    return {
        "a storm": storm(cluster, random.Random(_SEED).gauss),  # noqa: S311 - it is to be the same each time
        "a deploy": deploy(cluster, random.Random(_SEED).gauss),  # noqa: S311
    }


def _as_json(demand: Demand, hardware: Hardware, found: Plan, played: dict[str, Outcome]) -> dict[str, Any]:
    told = {"asked": dataclasses.asdict(demand) | dataclasses.asdict(hardware), "plan": dataclasses.asdict(found)}
    told["plan"]["price"] = found.price
    told["measured"] = {"machine": MACHINE, "date": DATE, "command": COMMAND, "prices_of": PRICES_OF}
    for name, outcome in played.items():
        said = dataclasses.asdict(outcome)
        del said["inside"]
        # JSON has no infinity.
        said |= {name: None for name in ("half", "most", "all") if said[name] == math.inf}
        told[name.removeprefix("a ")] = said
    return told


def _names(group: type[Demand] | type[Hardware]) -> list[str]:
    return [field.name for field in dataclasses.fields(group)]


def _seconds(time: float) -> str:
    return "never" if time == math.inf else f"{time:,.0f} s"


def _bytes(size: float) -> str:
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1024:,.0f} KiB"
