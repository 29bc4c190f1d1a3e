"""What applications may import stays: every public name there was before the house had rooms, and what a class offers.

`docs/reference/api.md` says what is public. A name that goes on purpose leaves this list with a line in the changelog.
"""

import importlib
import inspect

import pytest

NAMES: dict[str, dict[str, str]] = {
    "hubbub": {
        "Authenticator": "authenticate bearer cookie",
        "Carrier": "COOKIE MESSAGE QUERY SUBPROTOCOL",
        "ConfigurationError": "",
        "Connection": "close finish id join leave node room rooms send state text user",
        "ConnectionClosed": "",
        "Credential": "carrier value",
        "CredentialError": "",
        "ExpiredCredential": "",
        "Forbidden": "code default on_the_wire",
        "HandshakeRefused": "",
        "Heartbeat": "interval timeout",
        "History": "size ttl",
        "Hub": "accept accept_text broadcast connect facts lease node on ready room rooms serve start stats stop user",
        "HubDep": "",
        "HubbubError": "",
        "InvalidCredential": "",
        "InvalidMessage": "code default on_the_wire",
        "JWTAuth": "authenticate bearer sign",
        "Lease": "give_up turn",
        "Leaving": "grace lease window",
        "Limits": (
            "authenticate blocking closing connections connections_per_user credential depth message name "
            "outbox payload queued replay rooms unauthenticated waiting"
        ),
        "NotJoined": "code default on_the_wire",
        "Page": "complete messages position",
        "Position": "epoch offset",
        "Rate": "burst messages refusals",
        "RateLimited": "code default on_the_wire",
        "Refused": "on_the_wire",
        "Room": "close count history members remove send",
        "SessionAuth": "authenticate bearer",
        "SessionStore": "user_of",
        "Stats": "connections rooms users workers",
        "TooManyRooms": "code default on_the_wire",
        "Unauthorized": "code default on_the_wire",
        "Unavailable": "code default on_the_wire",
        "UnknownRoom": "code default on_the_wire",
        "User": "claims expires id",
        "UserHandle": "connections disconnect history is_online send",
        "Worker": "connections facts node pid",
    },
    "hubbub.brokers.embedded": {
        "EmbeddedValkey": "alive pid start stop url",
    },
    "hubbub.brokers.redis": {
        "RedisBroker": (
            "contains count deaf_for declare declared enter give_up leave lost members publish read ready "
            "renew report reports round_trip shared start stop subscribe sweep take_turn turn_back "
            "unsubscribe withdraw"
        ),
    },
    "hubbub.cli.main": {
        "main": "",
    },
    "hubbub.client.publisher": {
        "AsyncPublisher": "broadcast room user",
        "Publisher": "broadcast close room user",
    },
    "hubbub.integrations.operations": {
        "operations": "",
    },
    "hubbub.integrations.publishing": {
        "publishing": "",
    },
    "hubbub.ports.auth": {
        "Authenticator": "authenticate bearer cookie",
        "Carrier": "COOKIE MESSAGE QUERY SUBPROTOCOL",
        "Credential": "carrier value",
    },
    "hubbub.ports.broker": {
        "Announcement": "data topic",
        "Broker": (
            "contains count deaf_for declare declared enter give_up leave lost members publish read ready "
            "renew report reports shared start stop subscribe sweep take_turn turn_back unsubscribe withdraw"
        ),
        "Entry": "data offset",
        "Held": "holder members topic",
        "Past": "entries top",
        "Renewal": "KEPT LOST NEW",
    },
    "hubbub.ports.clock": {
        "Alarm": "cancel",
        "Clock": "call_at now wall",
    },
    "hubbub.ports.injection": {
        "Injected": "annotations name refusal",
        "Injection": "prepare",
    },
    "hubbub.ports.metrics": {
        "Count": (
            "BROKER_DEAF BROKER_LOST BROKER_RECONNECTED CONNECTIONS DEAD DELIVERIES DROPPED GAPS "
            "HANDLER_BLOCKED HANDLER_FAILED MESSAGES_IN REFUSED REFUSED_HANDSHAKES REPEATED SLOW SUPERSEDED "
            "UNKNOWN_ENVELOPES"
        ),
        "Metrics": "count",
        "Tally": "count",
    },
    "hubbub.showcase.app": {
        "create_app": "",
    },
    "hubbub.testing": {
        "Acknowledged": "began excluded message position room",
        "Client": (
            "ask back caught_up close closed drop go_offline go_online join leave open position receive "
            "received rooms say send until welcome"
        ),
        "Ledger": "closed lines position received seen sent",
        "ManualClock": "advance call_at now sleep wall",
        "Network": "broker fail_over flush lose_history node snapshot",
        "Node": "broker call hub kill scope",
        "Refusal": "",
        "Tab": (
            "ask caught_up close closed connect drop go_on join leave open position read receive received "
            "reconnect say send stall until vanish welcome"
        ),
        "Violation": "client kind room what",
        "Wrong": "BEHIND DISAGREE HOLE LOST ORDER PRESENCE STRAY TWICE UNTRUE",
        "checks": "",
        "settle": "",
    },
    "hubbub.testing.conformance": {
        "Conformance": "",
    },
    "hubbub.testing.proxy": {
        "Proxy": "delay freeze heal refuse reset",
    },
    "hubbub.transports": {
        "HTTP": "",
        "PROTOCOL": "",
    },
    "hubbub.transports.http": {
        "HubbubH11": "connection_lost connection_made data_received handle_websocket_upgrade on_response_complete",
        "HubbubHTTP": "connection_lost connection_made data_received handle_websocket_upgrade on_response_complete",
    },
    "hubbub.transports.uvicorn": {
        "HubbubProtocol": (
            "connection_lost connection_made data_received handle_bytes handle_cont handle_ping handle_pong "
            "handle_text pause_writing receive resume_writing run_asgi send send_receive_event_to_app "
            "take_over"
        ),
    },
}


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_is_there_with_what_it_offered(module: str) -> None:
    found = importlib.import_module(module)
    for name, members in NAMES[module].items():
        assert hasattr(found, name), name
        # Slots and properties stand in the class; what a dataclass or an enumeration has by value is an attribute too.
        value = getattr(found, name)
        gone = [member for member in members.split() if not _offers(value, member)]
        assert not gone, f"{module}.{name} lost {gone}"


def _offers(value: object, member: str) -> bool:
    return hasattr(value, member) or (inspect.isclass(value) and member in getattr(value, "__annotations__", {}))


@pytest.mark.parametrize("module", ["hubbub", "hubbub.testing"])
def test_what_a_package_exports_is_in_the_list(module: str) -> None:
    assert set(importlib.import_module(module).__all__) >= set(NAMES[module])
