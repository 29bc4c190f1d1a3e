import ast
import inspect
import math
from dataclasses import MISSING, FrozenInstanceError, asdict, fields
from itertools import pairwise

import pytest

from hubbub import options
from hubbub.options import Addresses, Heartbeat, History, Leaving, Limits, Rate, RoomOptions, RoomRate, Slow, check_fits
from hubbub.protocol.codec import encode
from hubbub.protocol.envelope import Envelope, Kind

BOUNDED = [
    (Limits, {}),
    (Rate, {}),
    (RoomRate, {}),
    (Addresses, {}),
    (Heartbeat, {}),
    (History, {"size": 1, "ttl": 1.0}),
]
EVERY_BOUND = [
    (group, needed, field.name) for group, needed in BOUNDED for field in fields(group) if field.type in (int, float)
]


def test_the_defaults_are_those_that_are_documented() -> None:
    assert asdict(Limits()) == {
        "message": 65_536,
        "depth": 32,
        "nodes": 4_096,
        "name": 128,
        "rooms": 128,
        "presence": 1_024,
        "outbox": 1_048_576,
        "payload": 524_288,
        "waiting": 32,
        "waiting_bytes": 262_144,
        "first_message": 4_096,
        "authenticate": 5.0,
        "closing": 5.0,
        "credential": 8_192,
        "replay": 300,
        "replay_rate": 500.0,
        "replay_bytes": 1_048_576,
        "notices": 5_000,
        "queued": 1_000,
        "batch": 1_000,
        "batch_bytes": 1024 * 1024,
        "blocking": 0.1,
        "connections": 65_536,
        "unauthenticated": 1_000,
        "connections_per_user": 128,
        "handshakes": 1_000.0,
    }
    assert asdict(Addresses()) == {
        "connections": 2_000,
        "unauthenticated": 250,
        "handshakes": 50.0,
        "burst": 1_000,
        "failures": 500,
        "proxies": None,
        "header": "x-forwarded-for",
        "known": 16_384,
    }
    assert asdict(Rate()) == {
        "messages": 100.0,
        "burst": 200,
        "refusals": 200,
        "bytes": 262_144.0,
        "bytes_burst": 1_048_576,
        "tabs": 4.0,
    }
    assert asdict(Heartbeat()) == {"interval": 25.0, "timeout": 10.0}
    assert asdict(Leaving()) == {"lease": 10.0, "grace": 0.0, "window": 5.0}
    assert asdict(RoomOptions()) == {
        "presence": False,
        "presence_data": False,
        "diff": False,
        "history": None,
        "slow": "disconnect",
        "rate": None,
    }
    assert asdict(RoomRate()) == {"messages": 1_000.0, "bytes": 262_144, "burst": 2_000, "burst_bytes": 524_288}


def test_what_a_client_joins_with_fits_the_depth() -> None:
    with pytest.raises(ValueError, match=r"Limits\.depth must be at least 4"):
        Limits(depth=3)


@pytest.mark.parametrize("seconds", [0.001, 0.0099, float("inf"), float("nan"), "1"])
def test_a_loop_is_not_blocked_by_less_than_can_be_seen(seconds: object) -> None:
    with pytest.raises(ValueError, match=r"Limits\.blocking must be"):
        Limits(blocking=seconds)  # type: ignore[arg-type]
    assert Limits(blocking=0.01).blocking == 0.01
    assert Limits(blocking=None).blocking is None


def test_what_a_client_joins_with_is_not_too_many_values() -> None:
    with pytest.raises(ValueError, match=r"Limits\.nodes must be at least 16"):
        Limits(nodes=15)


def test_one_tab_may_send_what_one_tab_may() -> None:
    with pytest.raises(ValueError, match=r"Rate\.tabs must be at least 1, not 0\.5"):
        Rate(tabs=0.5)


def test_a_presence_fits_the_header_of_a_notice() -> None:
    largest = Limits(presence=16_384).presence
    with pytest.raises(ValueError, match=r"Limits\.presence must not be greater than 16384"):
        Limits(presence=16_385)
    # However it is escaped.
    for text in ('"' * (largest // 2), "é" * (largest // 2), "\U0001f600" * (largest // 4)):
        data = encode({"é" * 64: {"x": text[: len(text) - 8]}})
        assert len(data) <= largest + 140
        notice = Envelope(Kind.NOTICE, b"", without_users=frozenset({"é" * 64}), presence=data)
        assert Envelope.decode(notice.encode()) == notice


def test_presence_data_needs_presence() -> None:
    assert RoomOptions(presence=True, presence_data=True).presence_data
    with pytest.raises(ValueError, match=r"^presence_data=True needs presence=True"):
        RoomOptions(presence_data=True)


@pytest.mark.parametrize(("group", "needed", "name"), EVERY_BOUND)
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, math.inf])
def test_no_bound_is_nothing_negative_or_without_end(group: type, needed: dict, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{group.__name__}\.{name} must be finite and greater than 0, not {value!r}"):
        group(**needed | {name: value})


@pytest.mark.parametrize("name", ["lease", "grace", "window"])
@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf])
def test_no_time_of_leaving_is_negative_or_without_end(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"Leaving\.{name} must be finite and not negative, not {value!r}"):
        Leaving(**{name: value})


@pytest.mark.parametrize("name", ["connections", "unauthenticated", "burst", "failures", "known"])
def test_an_address_may_have_one_of_each(name: str) -> None:
    assert Addresses(**{name: 1})
    with pytest.raises(ValueError, match=rf"Addresses\.{name} must be at least 1, not 0\.5"):
        Addresses(**{name: 0.5})


@pytest.mark.parametrize("header", ["", " ", "größe", None])
def test_the_header_of_proxies_is_the_name_of_one(header: object) -> None:
    with pytest.raises(ValueError, match=r"Addresses\.header is the name of a header"):
        Addresses(header=header)  # type: ignore[arg-type]


def test_a_worker_may_go_at_once_but_a_lease_takes_time() -> None:
    assert asdict(Leaving(lease=0.1, grace=0, window=0)) == {"lease": 0.1, "grace": 0, "window": 0}
    with pytest.raises(ValueError, match=r"Leaving\.lease must be greater than 0"):
        Leaving(lease=0)


@pytest.mark.parametrize("slow", [Slow.DISCONNECT, Slow.DROP_OLDEST])
def test_a_room_that_loses_messages_of_a_slow_reader_may_keep_them_for_it(slow: Slow) -> None:
    assert RoomOptions(slow=slow, history=History(size=1, ttl=1)).history == History(size=1, ttl=1)


def test_of_values_that_replace_each_other_none_is_kept() -> None:
    assert RoomOptions(slow=Slow.LATEST).history is None
    with pytest.raises(ValueError, match=r'^a room with slow="latest" keeps no history'):
        RoomOptions(slow=Slow.LATEST, history=History(size=1, ttl=1))


@pytest.mark.parametrize(("group", "needed", "name"), EVERY_BOUND)
def test_none_does_not_lift_a_bound(group: type, needed: dict, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        group(**needed | {name: None})


@pytest.mark.parametrize(("group", "needed", "name"), EVERY_BOUND)
def test_a_bound_can_be_set(group: type, needed: dict, name: str) -> None:
    more = {"payload": 1} if (group, name) == (Limits, "outbox") else {}
    least = {(Limits, "depth"): 4, (Limits, "nodes"): 16}.get((group, name), 1)
    assert getattr(group(**needed | more | {name: least}), name) == least


def test_two_of_the_largest_messages_fit_an_outbox() -> None:
    assert 2 * Limits().payload <= Limits().outbox


def test_a_message_that_could_never_be_sent_is_refused() -> None:
    assert Limits(payload=10, outbox=10).payload == 10
    with pytest.raises(ValueError, match=r"Limits\.payload must not be greater than Limits\.outbox"):
        Limits(payload=11, outbox=10)


def test_what_is_kept_can_be_handed_to_who_comes_back() -> None:
    keep = History(size=1, ttl=1)
    check_fits(keep, Limits())
    check_fits(keep, Limits(payload=20, outbox=30))
    for nothing in (None, False):
        check_fits(nothing, Limits(payload=30, outbox=30))
    with pytest.raises(ValueError, match=r"Limits\.payload is 21, more than two thirds of Limits\.outbox, 30"):
        check_fits(keep, Limits(payload=21, outbox=30))


def test_a_burst_of_less_than_a_message_would_let_none_through() -> None:
    with pytest.raises(ValueError, match=r"Rate\.burst must be at least 1, not 0\.5"):
        Rate(burst=0.5)  # type: ignore[arg-type]


def test_a_ping_and_its_answer_fit_the_patience_of_proxies() -> None:
    assert Heartbeat().interval + Heartbeat().timeout < 60


@pytest.mark.parametrize("group", [Limits, Rate, Heartbeat, History, Leaving, RoomOptions])
def test_options_are_given_by_name_and_do_not_change(group: type) -> None:
    assert all(field.kw_only for field in fields(group))
    needed = {field.name: 1 for field in fields(group) if field.default is MISSING}
    made = group(**needed)
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(group)[0].name, 2)


@pytest.mark.parametrize("policy", ["disconnect", "drop_oldest", "latest"])
def test_a_policy_for_slow_readers_is_called_by_its_name(policy: str) -> None:
    assert Slow(policy) == policy


@pytest.mark.parametrize("policy", ["", "Latest", "drop-oldest", None, 1, []])
def test_there_is_no_other(policy: object) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the sentence is checked as a whole
        Slow(policy)
    assert str(error.value) == f"slow is disconnect, drop_oldest or latest, not {policy!r}"


def test_what_history_keeps_has_no_default() -> None:
    assert all(field.default is MISSING for field in fields(History))


@pytest.mark.parametrize("group", [Limits, Rate, Heartbeat, Leaving, RoomOptions])
def test_every_default_is_explained(group: type) -> None:
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(options)).body
        if isinstance(node, ast.ClassDef) and node.name == group.__name__
    )
    explained = {
        field.target.id
        for field, after in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }
    unexplained = [field.name for field in fields(group) if field.name not in explained]
    assert [name for name in unexplained if f"`{name}`" not in (group.__doc__ or "")] == []
