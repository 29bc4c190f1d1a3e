"""What follows from demand, hardware and costs: sums that can be done by hand."""

import dataclasses
import math
from typing import Any

import pytest

from hubbub.errors import ConfigurationError
from hubbub.sizing.costs import Costs, measured_costs
from hubbub.sizing.measured import MEASURED
from hubbub.sizing.plan import HEARTBEAT, TCP_IP, Demand, Hardware, Plan, WrongSize, plan, spread

FREE = Costs(**{field.name: 0.0 for field in dataclasses.fields(Costs)})
GIB = 2**30


def planned(costs: dict[str, float] | None = None, hardware: dict[str, Any] | None = None, **demand: Any) -> Plan:
    free = {"stay": 1e7, "users": 1_000, "online": 1.0, "tabs": 1.0, "messages": 0.0, **demand}
    return plan(
        Demand(**free), Hardware(**{"headroom": 0.0, **(hardware or {})}), dataclasses.replace(FREE, **(costs or {}))
    )


def test_connections_are_those_online_with_their_tabs() -> None:
    assert Demand(users=1_000, online=0.5, tabs=1.5).connections == 750
    assert Demand(users=1, online=0.1).connections == 1


def test_one_worker_has_so_many_connections() -> None:
    assert planned(users=30_000, hardware={"per_worker": 15_000}).workers == 2
    assert planned(users=30_001, hardware={"per_worker": 15_000}).workers == 3


def test_there_is_always_one_more_than_none() -> None:
    assert planned(users=1).workers == 2
    assert planned(users=1).first_limit == "a spare"


@pytest.mark.parametrize(
    ("costs", "demand", "cores"),
    [
        ({"delivery": 1e-3}, {"messages": 100, "fanout": 50}, 5.0),
        ({"message": 1e-2}, {"messages": 100}, 1.0),
        ({"kept_message": 1e-2}, {"messages": 100, "history_size": 10}, 1.0),
        ({"request": 1e-3}, {"requests": 3_000}, 3.0),
        ({"heartbeat": 1e-3}, {"users": 50_000}, 50_000 / HEARTBEAT * 1e-3),
        ({"enter": 0.03, "leave": 0.01}, {"stay": 10}, 4.0),
        ({"enter_with_presence": 0.03}, {"stay": 10, "presence": True}, 3.0),
        ({"rejoin": 0.02}, {"stay": 10, "history_size": 1}, 2.0),
    ],
)
def test_what_is_done_takes_cores(costs: dict[str, float], demand: dict[str, Any], cores: float) -> None:
    found = planned(costs, hardware={"back": 86_400}, **demand)
    assert found.cores == pytest.approx(cores)
    assert found.workers == max(2, math.ceil(cores - 1e-9), math.ceil(found.connections / 15_000))


def test_a_core_that_has_less_than_an_idle_worker_takes_is_refused() -> None:
    idle = {"worker_idle_ms_per_s": 5.0}
    assert planned(idle, hardware={"speed": 0.011, "headroom": 0.5}).workers == 2
    with pytest.raises(WrongSize, match=r"^headroom leaves 0\.005 of a core, and a worker takes as much"):
        planned(idle, hardware={"speed": 0.01, "headroom": 0.5})


def test_half_a_core_that_stays_free_takes_twice_the_workers() -> None:
    demand = {"messages": 100, "fanout": 100}
    assert planned({"delivery": 1e-3}, **demand).workers == 10
    assert planned({"delivery": 1e-3}, hardware={"headroom": 0.5}, **demand).workers == 20
    assert planned({"delivery": 1e-3}, hardware={"speed": 2.0}, **demand).workers == 5


def test_a_message_goes_to_every_worker_that_has_a_member() -> None:
    assert spread(1, 10) == pytest.approx(1)
    assert spread(2, 2) == pytest.approx(1.5)
    assert spread(1e9, 10) == pytest.approx(10)
    assert spread(5, 1) == 1


def test_more_workers_hear_more_until_they_are_enough() -> None:
    """Each message reaches all workers here, so a worker more is work for all."""
    found = planned({"receive": 1e-3, "delivery": 1e-5}, messages=500, fanout=1_000)
    assert found.copies == pytest.approx(500 * found.workers)
    assert found.cores <= found.workers
    assert found.workers == found.workers_for["processor"]
    assert found.first_limit == "processor"


def test_a_storm_is_over_in_time() -> None:
    found = planned({"enter": 0.002}, users=60_000, hardware={"back": 10, "per_worker": 65_536})
    assert (found.workers, found.storm_work, found.storm_back) == (12, 120.0, 10.0)
    assert found.first_limit == "storm"


def test_machines_hold_the_workers_and_their_memory() -> None:
    assert planned(users=150_000, hardware={"cores": 4}).machines == 3
    found = planned(
        {"idle": 1024.0**2, "worker": 1024.0**3}, users=10_240, hardware={"memory": 4, "per_worker": 65_536}
    )
    assert found.memory == 12 * GIB
    assert found.machines == 3
    assert found.worker_memory == 6 * GIB
    assert planned({"joined": 2048.0}, presence=True).memory == 1_000 * 2048


def test_a_broker_keeps_who_is_there_and_what_was_said() -> None:
    each = {"online_broker_bytes": 100.0, "present_broker_bytes": 1_000.0, "kept_broker_bytes": 50.0}
    assert planned(each).broker_memory == 100_000
    assert planned(each, presence=True).broker_memory == 1_000_000
    room = {"history_size": 10, "rooms": 20, "size": 150, "messages": 100}
    assert planned(each, **room).broker_memory == 100_000 + 20 * 10 * 200
    assert planned(each, **room, history_ttl=1).broker_memory == 100_000 + 100 * 200


def test_shards_are_for_what_one_broker_cannot() -> None:
    assert planned({"message_broker": 0.01}, messages=250).broker_shards == 3
    assert planned({"kept_message_broker": 0.01}, messages=250, history_size=1).broker_cores == pytest.approx(2.5)
    assert planned({"online_broker_bytes": float(GIB)}, hardware={"broker_memory": 500}).broker_shards == 2
    copies = planned({"broker_copy": 0.001}, messages=1_000, fanout=1e6)
    assert copies.broker_cores == pytest.approx(1_000 * (copies.workers - 1) * 0.001)
    joins = planned({"enter_broker": 0.002, "rejoin_broker": 0.009}, stay=1)
    assert joins.broker_cores == pytest.approx(2)
    again = planned({"enter_broker": 0.002, "rejoin_broker": 0.009}, stay=1, history_size=1)
    assert again.broker_cores == pytest.approx(9)
    assert planned({"enter_with_presence_broker": 0.003}, stay=1, presence=True).broker_cores == pytest.approx(3)


def test_commands_are_those_of_messages_and_of_workers() -> None:
    commands = {"message_broker_commands": 1.0, "kept_message_broker_commands": 8.0}
    commands["worker_idle_broker_commands_per_s"] = 3.0
    assert planned(commands, messages=100).broker_commands == 106
    assert planned(commands, messages=100, history_size=1).broker_commands == 806


def test_what_leaves_is_paid() -> None:
    found = planned({"delivery_bytes_beside_content": 48.0}, messages=100, fanout=10, hardware={"egress_price": 2.0})
    heartbeats = 1_000 / HEARTBEAT * 2 * TCP_IP
    arrivals = 1_000 / 1e7 * 2_500
    assert found.egress == pytest.approx(1_000 * (200 + 48 + TCP_IP) + heartbeats + arrivals)
    assert found.price_egress == pytest.approx(found.egress_month / GIB * 2)
    assert found.price == found.price_machines + found.price_brokers + found.price_egress


def test_a_deploy_starts_each_worker_and_moves_each_connection() -> None:
    found = planned({"enter": 0.001, "leave": 0.002, "worker_start": 3.0})
    assert found.deploy_work == pytest.approx(1_000 * 0.003 + 2 * 3.0)


@pytest.mark.parametrize(
    ("group", "setting", "value"),
    [
        (Demand, "users", 0),
        (Demand, "online", 1.1),
        (Demand, "tabs", math.nan),
        (Demand, "fanout", True),
        (Demand, "history_ttl", 0),
        (Demand, "rooms", 1.5),
        (Hardware, "headroom", 1),
        (Hardware, "cores", 0),
        (Hardware, "back", "soon"),
        (Hardware, "egress_price", -1),
    ],
)
def test_what_makes_no_sense_is_named(group: Any, setting: str, value: object) -> None:
    with pytest.raises(WrongSize) as refused:
        group(**{setting: value})
    assert refused.value.setting == setting
    assert str(refused.value).startswith(setting)


def test_every_cost_was_measured_and_is_of_its_kind() -> None:
    costs = measured_costs()
    assert all(getattr(costs, field.name) >= 0 for field in dataclasses.fields(costs))
    # What cannot be otherwise on any machine: a unit that was confused is off by a thousand.
    assert 1e-7 < costs.delivery < costs.message < costs.handshake < costs.worker_start
    assert costs.refusal < costs.handshake < costs.rejoin
    assert 1024 < costs.idle <= costs.joined < costs.worker


def test_a_cost_that_was_not_measured_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no figure was measured for refusal: python -m benchmarks\.costs"):
        Costs.of({name: value for name, value in MEASURED.items() if name != "refusal_ms"})
