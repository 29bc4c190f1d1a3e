"""A storm and a deploy, played: nobody is lost on the way, the gate holds, and the same chance gives the same."""

import random
from typing import Any

import pytest

from hubbub.sizing.storm import FIRST, STEP, Cluster, Outcome, deploy, storm


def gauss(seed: int = 1) -> Any:
    return random.Random(seed).gauss


def no_chance(mean: float, deviation: float) -> float:
    return mean


@pytest.mark.parametrize("play", [storm, deploy])
@pytest.mark.parametrize(("clients", "workers"), [(1, 1), (7, 3), (1_000, 1), (15_000, 3), (1_000_000, 70)])
def test_everybody_is_back_in_the_end(play: Any, clients: int, workers: int) -> None:
    outcome: Outcome = play(Cluster(clients=clients, workers=workers), gauss())
    assert outcome.inside[-1] == clients
    assert max(outcome.inside) == clients
    assert outcome.half <= outcome.most <= outcome.all <= len(outcome.inside) * STEP


def test_the_same_chance_gives_the_same() -> None:
    cluster = Cluster(clients=5_000, workers=3, handshakes=100)
    assert storm(cluster, gauss(7)) == storm(cluster, gauss(7))
    assert storm(cluster, gauss(7)).inside != storm(cluster, gauss(8)).inside


def test_who_fits_is_back_as_soon_as_they_come() -> None:
    outcome = storm(Cluster(clients=900, workers=1, come=1e-6), gauss())
    assert outcome.refusals == 0
    assert outcome.all <= FIRST + 2 * STEP
    assert outcome.arrivals == 900


def test_the_gate_lets_in_twice_its_rate_at_once_and_then_its_rate() -> None:
    cluster = Cluster(clients=10_000, workers=2, handshakes=100, come=1e-6)
    outcome = storm(cluster, gauss())
    assert outcome.refusals > 9_000
    for at, inside in enumerate(outcome.inside):
        assert inside <= 2 * 100 * (2 + (at + 2) * STEP)
    assert outcome.all >= (10_000 - 400) / 200


def test_a_worker_that_cannot_follow_has_a_queue() -> None:
    outcome = storm(Cluster(clients=4_000, workers=2, handshakes=10_000, come=0.005, patience=60), no_chance)
    assert outcome.refusals == outcome.given_up == 0
    assert outcome.all == pytest.approx(4_000 * 0.005 / 2, rel=0.1)
    assert outcome.queue > 3_000
    assert outcome.work == pytest.approx(4_000 * (0.005 + 0.0002))


def test_who_waits_too_long_gives_up_and_costs_the_work_all_the_same() -> None:
    outcome = storm(Cluster(clients=4_000, workers=2, handshakes=10_000, come=0.005, patience=5), gauss())
    assert outcome.given_up > 500
    assert outcome.inside[-1] == 4_000
    assert outcome.work == pytest.approx((4_000 + outcome.given_up) * 0.005 + 4_000 * 0.0002)


def test_a_refusal_costs_what_others_have_not() -> None:
    cheap = Cluster(clients=20_000, workers=1, handshakes=200, refuse=0.0)
    dear = Cluster(clients=20_000, workers=1, handshakes=200, refuse=0.002)
    assert storm(dear, no_chance).all > storm(cheap, no_chance).all


def test_a_deploy_moves_everybody_at_least_once() -> None:
    outcome = deploy(Cluster(clients=9_000, workers=3), gauss())
    # Who lands on a worker that is still to be replaced is moved again.
    assert 9_000 <= outcome.moves <= 2 * 9_000
    assert outcome.refusals == 0


def test_all_workers_at_once_move_everybody_once() -> None:
    outcome = deploy(Cluster(clients=9_000, workers=3, at_once=3), gauss())
    assert outcome.moves == 9_000


def test_returns_are_spread_over_the_window() -> None:
    fast = deploy(Cluster(clients=60_000, workers=6, window=2), gauss())
    slow = deploy(Cluster(clients=60_000, workers=6, window=20), gauss())
    assert slow.arrivals < fast.arrivals / 3


def test_one_door_refuses_some_while_a_worker_leaves() -> None:
    apart = deploy(Cluster(clients=3_000, workers=3), gauss())
    together = deploy(Cluster(clients=3_000, workers=3, one_door=True), gauss())
    assert apart.refusals == 0
    assert together.refusals > 100


def test_ten_million_are_no_more_work_than_ten_thousand() -> None:
    """Not by time: by the steps that are played."""
    many = storm(Cluster(clients=10_000_000, workers=1_000), gauss())
    few = storm(Cluster(clients=10_000, workers=1), gauss())
    assert len(many.inside) < 3 * len(few.inside)


def test_workers_that_only_refuse_have_nobody_back() -> None:
    """Each refusal costs a little, and of these there are more in a second than the worker has time for."""
    outcome = storm(Cluster(clients=1_000_000, workers=1), gauss())
    assert outcome.half == outcome.all == float("inf")
    assert outcome.inside[-1] < 500_000


@pytest.mark.parametrize("wrong", [{"clients": 0}, {"workers": 0}, {"at_once": 4}, {"at_once": 0}])
def test_a_cluster_of_nobody_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one client"):
        Cluster(**{"clients": 1, "workers": 3, **wrong})
