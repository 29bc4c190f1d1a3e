"""Runs against a server that does what the test says: what it did is what must come out, exactly."""

import itertools
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hubbub.loadtest import crowd, schedules
from hubbub.loadtest.poller import _Selector
from hubbub.loadtest.result import Errors
from hubbub.loadtest.run import Progress, run
from hubbub.loadtest.schedules import Steadily
from hubbub.loadtest.workloads import Workload
from tests.kit.waiting import wait_for
from tests.loadtest.scripted import Plain, Server, measure, text


def numbers(server: Server) -> list[tuple[int, int]]:
    """Of all messages the clients sent: publisher and number, out of the tag."""
    found = []
    for _, payload in server.texts:
        tag = re.search(rb"hb[0-9a-f]{4}(\d{6})(\d{9})", payload)
        assert tag is not None
        found.append((int(tag[1]), int(tag[2])))
    return found


@pytest.fixture(params=["epoll", "selectors"])
def _each_poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "selectors":
        monkeypatch.setattr(crowd, "poller", _Selector)


@pytest.mark.usefixtures("_each_poller")
@pytest.mark.parametrize(
    ("kind", "options", "deliveries"),
    [
        ("fanout", {}, 60),
        ("fanout", {"in_flight": 7}, 60),
        ("fanout", {"publishers": 2, "in_flight": 3}, 60),
        ("fanout", {"rate": 500.0}, 60),
        ("fanout", {"text": 100_000, "in_flight": 5}, 60),
        ("request", {}, 20),
    ],
)
def test_every_delivery_is_counted_once(kind: str, options: dict[str, Any], deliveries: int) -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        if kind == "fanout":
            server.to_all(i, payload)
        else:
            server.send(i, text(payload))

    with Server(heard) as server:
        result = measure(server, kind, **options)
    assert (result.messages, result.deliveries, result.errors) == (20, deliveries, Errors())
    assert result.latency.p50 <= result.latency.p99 <= result.latency.max
    assert len(server.texts) == 20
    assert result.connections == 3


@pytest.mark.usefixtures("_each_poller")
def test_every_member_of_every_room_talks_and_waits_for_its_own() -> None:
    room = {i: i % 4 for i in range(12)}

    def heard(server: Server, i: int, payload: bytes) -> None:
        for member in room:
            if room[member] == room[i]:
                server.send(member, text(payload))

    with Server(heard) as server:
        result = measure(server, "rooms", connections=12, rooms=4, messages=120)
    assert (result.messages, result.deliveries, result.errors) == (120, 360, Errors())
    assert {publisher for publisher, _ in numbers(server)} == set(range(12))


def test_the_next_is_sent_when_all_have_the_one_before() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        # Were the publisher to wait for itself alone, it would have sent the next long before the last has this.
        server.send(0, text(payload))
        server.loop.call_later(0.02, server.send, 1, text(payload))
        server.loop.call_later(0.04, lambda: (done.append(len(server.texts)), server.send(2, text(payload))))

    done: list[int] = []
    with Server(heard) as server:
        result = measure(server, messages=5)
    assert done == [1, 2, 3, 4, 5]
    assert result.deliveries == 15


def test_so_many_are_in_flight_and_no_more() -> None:
    held: list[bytes] = []
    most: list[int] = []

    def heard(server: Server, i: int, payload: bytes) -> None:
        held.append(payload)
        most.append(len(held))
        server.loop.call_later(0.01, lambda: server.to_all(0, held.pop(0)))

    with Server(heard) as server:
        result = measure(server, in_flight=6, publishers=2, messages=60)
    assert max(most) == 6
    assert result.errors == Errors()
    # The publishers take turns.
    sent = numbers(server)
    assert abs(sum(publisher == 0 for publisher, _ in sent) - 30) <= 3
    for publisher in (0, 1):
        assert [number for who, number in sent if who == publisher] == list(
            range(1, 1 + sum(who == publisher for who, _ in sent))
        )


def test_frames_may_come_in_any_pieces() -> None:
    cuts = itertools.count()

    def heard(server: Server, i: int, payload: bytes) -> None:
        data = text(payload)
        for member in server.writers:
            cut = next(cuts) % (len(data) + 1)
            server.send(member, data[:cut])
            server.loop.call_later(0.001, server.send, member, data[cut:])

    with Server(heard) as server:
        result = measure(server, messages=150)
    assert (result.deliveries, result.errors) == (450, Errors())
    assert next(cuts) > len(text(server.texts[0][1]))


def test_latency_is_from_the_send_to_the_read_of_each_delivery() -> None:
    """Three members: at once, after 40 ms, after 80 ms; so each is a third of the deliveries."""

    def heard(server: Server, i: int, payload: bytes) -> None:
        for member in server.writers:
            server.loop.call_later(member * 0.04, server.send, member, text(payload))

    with Server(heard) as server:
        began = time.perf_counter()
        result = measure(server, rate=20.0, messages=30)
        took = (time.perf_counter() - began) * 1000
    # asyncio's timers may be early by the clock's resolution, and late by whatever else the machine does.
    assert result.latency.p50 * 1.01 >= 39
    assert result.latency.p90 * 1.01 >= 79
    assert 79 <= result.latency.max <= took
    assert result.latency.mean >= 39
    assert result.seconds * 1000 <= took


@pytest.mark.parametrize(
    ("sent", "errors", "deliveries"),
    [
        (lambda number: [] if number == 4 else [number], Errors(missing=1), 59),
        (lambda number: [number, number] if number == 4 else [number], Errors(duplicate=1), 60),
        (lambda number: {4: [], 5: [5, 4]}.get(number, [number]), Errors(out_of_order=1), 60),
        (lambda number: {4: [], 5: [], 6: [6, 5, 4, 5]}.get(number, [number]), Errors(duplicate=1, out_of_order=2), 60),
        (lambda number: [number, 999] if number == 4 else [number], Errors(unexpected=1), 60),
        (lambda number: [] if number == 20 else [number], Errors(missing=1), 59),
    ],
)
def test_what_one_member_gets_wrong_is_counted_by_kind(sent: Any, errors: Errors, deliveries: int) -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        [number] = [number for who, number in numbers(server)[-1:]]
        tag = re.search(rb"hb[0-9a-f]{4}\d{15}", payload)
        assert tag is not None
        for member in (0, 2):
            server.send(member, text(payload))
        for each in sent(number):
            server.send(1, text(payload.replace(tag[0], tag[0][:-9] + b"%09d" % each)))

    with Server(heard) as server:
        result = measure(server, rate=200.0, patience=2.0)
    assert (result.errors, result.deliveries) == (errors, deliveries)


def test_a_message_to_another_room_is_no_delivery() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        [number] = [number for _, number in numbers(server)[-1:]]
        other = re.sub(rb"(hb[0-9a-f]{4})\d{15}", rb"\g<1>%06d%09d" % ((i + 1) % 4, number), payload)
        for member in (i, (i + 2) % 4):
            # Before what is expected: nobody waits for what comes after the last of that.
            server.send(member, text(other) + text(payload))

    with Server(heard) as server:
        result = measure(server, "rooms", connections=4, rooms=2, messages=4)
    assert result.errors.unexpected == 8
    assert result.deliveries == 8


def test_a_request_answered_twice_or_in_pieces_or_beside_something_else() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        data = text(payload)
        match len(server.texts) % 10:
            case 1 | 2 | 3 | 4:
                # Also after one another on one connection: twice must not become what is expected.
                server.send(i, data * 2)
            case 5:
                server.send(i, data[:30])
                server.loop.call_later(0.01, server.send, i, data[30:])
            case 7:
                server.send(i, data + text(b"something else"))
            case 9:
                server.send(i, b"\x89\x00" + data)
            case _:
                server.send(i, data)

    with Server(heard) as server:
        result = measure(server, "request", connections=2, messages=100)
        wait_for(lambda: len([1 for _, opcode, _ in server.controls if opcode == 0xA]) == 10, what="pongs")
    assert (result.deliveries, result.errors) == (100, Errors(duplicate=40))


def test_the_warm_up_is_not_counted() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        server.loop.call_later(0.02, server.to_all, i, payload)

    with Server(heard) as server:
        result = measure(server, warm_up=1.0, messages=10)
    assert (result.messages, result.deliveries) == (10, 30)
    assert len(server.texts) > 15


def test_the_time_ends_it_and_what_is_under_way_is_waited_for() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        server.loop.call_later(0.05, server.to_all, i, payload)

    with Server(heard) as server:
        result = measure(server, duration=0.3, messages=None, in_flight=4)
    assert result.deliveries == 3 * result.messages == 3 * len(server.texts)
    assert result.errors == Errors()
    assert result.seconds >= 0.3
    assert result.messages_per_second == pytest.approx(result.messages / result.seconds)


def test_the_rate_is_kept() -> None:
    with Server() as server:
        result = measure(server, rate=100.0, messages=None, duration=1.0)
    assert 70 <= result.messages <= 101


def test_who_wakes_late_says_nothing_more_than_was_due_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    traffic: Any = SimpleNamespace(began=0, ends=1_000_000_000, over=False, say=said.append)
    nobody: Any = None
    speaker: Any = object()
    monkeypatch.setattr(schedules, "clock", lambda: 1_500_000_000)
    Steadily(traffic, nobody, [], [speaker], rate=100.0).start()
    assert len(said) == 101


def test_the_same_seed_makes_the_same_content() -> None:
    contents = []
    for seed in (1, 1, 2):
        with Server() as server:
            measure(server, messages=1, seed=seed, text=64)
        content = re.search(rb'"content": "(\w+)"', server.texts[0][1])
        assert content is not None
        assert len(content[1]) == 64
        contents.append(content[1][21:])
    assert contents[0] == contents[1] != contents[2]


def test_progress_and_leave_taken() -> None:
    told: list[Progress] = []
    with Server() as server:
        run(
            Workload(connections=3, warm_up=0.3, duration=0.5),
            Plain(),
            server.target,
            progress=told.append,
        )
        wait_for(lambda: [op for _, op, _ in server.controls].count(8) == 3, what="three closes")
    phases = [phase for phase, _ in itertools.groupby(step.phase for step in told)]
    assert phases[:3] == ["connecting", "warming up", "measuring"]
    assert Progress("connecting", 3, 3) in told
    assert [payload for _, op, payload in server.controls if op == 8] == [b"\x03\xe8"] * 3
