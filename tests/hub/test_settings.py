"""What is given to a hub or to its authenticators, and is of another kind, is refused by its name where it is given."""

from typing import Any

import pytest

from hubbub import ConfigurationError, Heartbeat, History, Hub, JWTAuth, Leaving, Limits, Rate, SessionAuth
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.ports.metrics import Tally
from hubbub.testing import ManualClock

OTHERS: dict[str, list[Any]] = {
    "broker": [5, object(), b"redis://", MemoryBroker, "http://broker"],
    "auth": [None, 5, "token", [None], JWTAuth, {}],
    "name": [5],
    "path": [5, None, "ws"],
    "origins": [5, [5], ["x"]],
    "allowed_hosts": [5, [5]],
    "announce_users": [5, "x", None],
    "inbox": [5, "x", True],
    "leaving": [5, {}, Leaving],
    "refuse": [5, None, "401"],
    "limits": [5, {}, Limits],
    "heartbeat": [5, {}, Heartbeat],
    "rate": [5, {}, False, Rate],
    "hold_call": [5, "x"],
    "metrics": [5, {}, Tally],
    "clock": [5, "x", ManualClock],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OTHERS.items() for value in values])
def test_what_a_hub_cannot_take_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}|broker|authenticator"):
        Hub(**{name: value})


def test_what_it_can_is_taken() -> None:
    Hub(
        MemoryBroker(),
        auth=[JWTAuth("x" * 32)],
        name="shop",
        path="",
        origins=["https://shop.example"],
        allowed_hosts=["shop.example"],
        announce_users=True,
        inbox=History(size=1, ttl=1),
        leaving=Leaving(),
        refuse="http",
        limits=Limits(),
        heartbeat=Heartbeat(),
        rate=Rate(),
        hold_call=True,
        metrics=Tally(),
        clock=ManualClock(),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("algorithms", 5), ("algorithms", [5]), ("audience", 5), ("audience", [None]), ("issuer", [b"x"])),
        *(("issuer", 5), ("leeway", "1"), ("leeway", None), ("user_claim", 5), ("key", 5)),
    ],
)  # fmt: skip
def test_what_an_authenticator_cannot_take_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        JWTAuth(**{"key": "x" * 32, name: value})


@pytest.mark.parametrize("load", [None, 5, "users", object()])
def test_sessions_are_loaded_by_something_that_can(load: Any) -> None:
    with pytest.raises(ConfigurationError, match="SessionAuth takes a function"):
        SessionAuth(load)


@pytest.mark.parametrize("group", [Limits, Rate, Heartbeat, Leaving])
@pytest.mark.parametrize("value", ["5", None, [], "x"])
def test_a_bound_is_a_number(group: Any, value: Any) -> None:
    name = next(iter(group.__dataclass_fields__))
    with pytest.raises(ValueError, match=f"{group.__name__}.{name} must be"):
        group(**{name: value})
