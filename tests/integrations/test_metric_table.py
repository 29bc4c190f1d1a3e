"""The table of metrics is complete both ways: all that is counted has a name, and every name is of what is counted."""

import re

import pytest

from hubbub import Hub
from hubbub.hub.hub import numbers_of
from hubbub.integrations.metric_table import FAMILIES, Family, Sample
from hubbub.ports.metrics import BOUNDS, Count, Observed


def taken(*kinds: str) -> list[str]:
    return [sample.of for family in FAMILIES if family.kind in kinds for sample in family.samples]


def family(name: str) -> Family:
    [found] = [each for each in FAMILIES if each.name == name]
    return found


def test_every_count_has_one_name_and_every_observation_too() -> None:
    counted = taken("counter")
    assert len(counted) == len(set(counted))
    assert set(Count) <= set(counted)
    observed = taken("histogram")
    assert len(observed) == len(set(observed))
    assert set(Observed) <= set(observed)
    assert set(BOUNDS) == set(Observed)


async def test_what_a_worker_says_is_what_the_table_takes() -> None:
    async with Hub("memory").running() as hub:
        said = numbers_of(hub).take()
    assert set(said["counts"]) <= set(taken("counter"))
    assert set(taken("counter")) - set(Count) == set(said["counts"]) - set(Count)
    assert set(said["histograms"]) == set(taken("histogram"))
    depends = {"lease_left", "resident", "descriptors", "descriptors_limit"}  # on the broker, and on the system
    assert set(taken("gauge")) - depends == set(said["gauges"]) - depends
    for each in FAMILIES:
        for _, number in each.numbers(said):
            if each.kind == "histogram":
                assert len(number) == len(each.bounds) + 2, each.name


@pytest.mark.parametrize("each", FAMILIES, ids=[each.name for each in FAMILIES])
def test_names_are_those_of_the_conventions(each: Family) -> None:
    assert re.fullmatch(r"hubbub(_[a-z0-9]+)+", each.name)
    assert (each.kind == "counter") == each.name.endswith("_total")
    assert each.help.endswith(".")
    assert not re.search(r"_(count|sum|bucket|info|ms|milliseconds|kib|percent)(_|$)", each.name)
    assert list(each.bounds) == sorted(each.bounds)
    assert each.labels == ("node", *each.beside)
    for sample in each.samples:
        assert len(sample.values) == len(each.beside)
        # What is taken away has a sample of its own, or is a part of one that has.
        assert set(sample.less) <= set(taken("counter"))


def test_names_and_labels_are_there_once() -> None:
    names = [each.name for each in FAMILIES]
    assert len(names) == len(set(names))
    for each in FAMILIES:
        assert len({sample.values for sample in each.samples}) == len(each.samples)


def test_what_is_counted_twice_is_shown_once() -> None:
    counts = {
        Count.REFUSED_HANDSHAKES: 20,
        Count.REFUSED_ORIGIN: 5,
        Count.REFUSED_WORKER: 2,
        Count.REFUSED_ADDRESS: 9,
        Count.REFUSED_GUESSES: 3,
    }
    outcomes = dict(family("hubbub_handshakes_total").numbers({"counts": counts}))
    assert outcomes["origin",] == 5
    assert outcomes["rate",] == 2
    assert outcomes["address",] == 6
    assert outcomes["other",] == 7
    assert outcomes["accepted",] == 0
    assert sum(outcomes.values()) == 20


def test_what_another_release_says_is_left_out_where_it_is_not_known_here() -> None:
    assert list(family("hubbub_ready").numbers({"gauges": {"something": 1}})) == []
    assert list(family("hubbub_fanout_seconds").numbers({"histograms": {"fanout_seconds": [0.0, 1]}})) == []
    assert list(family("hubbub_fanout_seconds").numbers({})) == []
    assert list(family("hubbub_messages_received_total").numbers({})) == [((), 0)]
    assert list(family("hubbub_received_bytes_total").numbers({})) == []


def test_no_number_is_below_zero_where_it_was_read_while_it_was_counted() -> None:
    sample = Sample("a", less=("b",))
    made = Family("hubbub_x_total", "counter", "X.", (sample,))
    assert list(made.numbers({"counts": {"a": 1, "b": 2}})) == [((), 0)]
