"""What applications may import stays: every public name there was before the house had rooms, and what a class offers.

Of the port of transports, those methods that did not change; the changelog has the others.

`docs/reference/api.md` says what is public. A name that goes on purpose leaves this list with a line in the changelog.
"""

import importlib
import inspect

import pytest
from uvicorn.importer import import_from_string

NAMES: dict[str, dict[str, str]] = {
    "hubbub": {
        "Addresses": "burst connections failures handshakes header known proxies unauthenticated",
        "Authenticator": "authenticate bearer cookie",
        "Carrier": "COOKIE MESSAGE QUERY SUBPROTOCOL",
        "ConfigurationError": "",
        "Conflict": "code default on_the_wire",
        "Connection": "close finish id join leave node room rooms send state text user",
        "ConnectionClosed": "",
        "Credential": "carrier value",
        "CredentialError": "",
        "Disconnect": "by_client code reason",
        "Edge": "at name number",
        "ExpiredCredential": "",
        "Forbidden": "code default on_the_wire",
        "HandshakeRefused": "",
        "Heartbeat": "interval timeout",
        "History": "size ttl",
        "Hub": (
            "accept accept_text broadcast connect facts lease node on on_connect on_disconnect on_join on_leave "
            "on_occupied on_offline on_online on_vacated ready room rooms serve start stats stop user"
        ),
        "HubDep": "",
        "HubbubError": "",
        "InvalidCredential": "",
        "InvalidMessage": "code default on_the_wire",
        "JWTAuth": "authenticate bearer sign",
        "Lease": "give_up turn",
        "Leaving": "grace lease window",
        "Limits": (
            "authenticate blocking closing connections connections_per_user credential depth handshakes message name "
            "outbox payload queued replay rooms unauthenticated waiting"
        ),
        "NotFound": "code default on_the_wire",
        "NotJoined": "code default on_the_wire",
        "Page": "complete messages position",
        "Position": "epoch offset",
        "Rate": "burst messages refusals",
        "RateLimited": "code default on_the_wire",
        "Refused": "code default on_the_wire",
        "RoomRate": "burst burst_bytes bytes messages",
        "Room": "close count history members remove send",
        "SessionAuth": "authenticate bearer",
        "SessionStore": "user_of",
        "Stats": "connections rooms users workers",
        "TooManyRooms": "code default on_the_wire",
        "Unauthorized": "code default on_the_wire",
        "Unavailable": "code default on_the_wire",
        "UnknownRoom": "code default on_the_wire",
        "User": "claims expires id",
        "UserHandle": "connections disconnect history is_online join last_seen leave send",
        "Worker": "connections facts node pid",
    },
    "hubbub.brokers.embedded": {
        "EmbeddedValkey": "alive keeps pid start stop url",
    },
    "hubbub.brokers.redis": {
        "RedisBroker": (
            "contains count deaf_for declare declared enter give_up leave lost members publish read ready "
            "refusal renew report reports round_trip shared start stop subscribe sweep take_turn turn_back "
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
    "hubbub.integrations.metrics": {
        "register_metrics": "",
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
            "refusal renew report reports shared start stop subscribe sweep take_turn turn_back unsubscribe withdraw"
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
        "Injected": "annotations code name refusal",
        "Injection": "prepare",
    },
    "hubbub.ports.metrics": {
        "Count": (
            "BROKER_DEAF BROKER_LOST BROKER_RECONNECTED CLOSED_SOCKETS CONNECTIONS CROWDED_SOCKETS DEAD "
            "DELIVERIES DROPPED DROPPED_SOCKETS GAPS HANDLER_BLOCKED HANDLER_FAILED INVALID_HANDSHAKES "
            "INVALID_REQUESTS LARGE_HEADS LATE_BODIES LATE_HANDSHAKES LATE_HEADS LOOP_BLOCKED MESSAGES_IN REFUSED "
            "REFUSED_ADDRESS REFUSED_HANDSHAKES REFUSED_WORKER REPEATED SLOW SUPERSEDED UNKNOWN_ENVELOPES"
        ),
        "Metrics": "count observe",
        "Tally": "count observe",
    },
    "hubbub.ports.transport": {
        "Driven": "close heard lost",
        "Transport": "close flush ping pings",
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
        "Conformance": (
            "test_history_carries_any_bytes test_history_forgets_the_old_though_the_new_keep_coming "
            "test_history_forgets_what_is_too_old_and_not_the_position "
            "test_history_gives_each_message_the_next_position_and_everyone_with_it "
            "test_history_has_one_epoch_among_many_first_ones "
            "test_history_is_one_order_without_a_hole_whoever_publishes "
            "test_history_is_read_from_where_and_as_far_as_was_asked test_history_is_read_in_pages "
            "test_history_keeps_its_order_among_what_is_not_kept test_history_of_a_topic_is_its_own "
            "test_history_publishes_once_for_a_key_however_many_try_at_once "
            "test_history_publishes_once_for_an_idempotency_key "
            "test_history_that_is_read_first_has_an_epoch_which_stays "
            "test_history_that_is_turned_back_first_has_an_epoch "
            "test_history_that_went_back_goes_on_under_another_epoch_and_once test_leases_are_found_in_portions "
            "test_leases_are_new_then_kept test_leases_are_swept_once_by_many_sweepers_at_once "
            "test_leases_are_swept_with_what_nobody_else_holds_announced_once "
            "test_leases_are_swept_without_a_word_where_none_is_given "
            "test_leases_find_exactly_what_is_held_after_any_coming_and_going "
            "test_leases_of_awkward_names_are_told_apart "
            "test_leases_that_are_renewed_before_they_are_swept_are_not "
            "test_leases_that_ran_out_show_what_was_held test_leases_that_ran_out_unnoticed_go_on "
            "test_leases_that_were_lost_are_said_so_once_though_nothing_is_left "
            "test_life_calls_that_are_not_between_start_and_stop_are_unavailable "
            "test_life_it_can_start_again_without_its_subscriptions test_life_no_message_is_delivered_after_stop "
            "test_messages_are_any_bytes_and_large test_messages_come_back_to_the_sender_once "
            "test_messages_come_in_one_order_on_every_peer "
            "test_messages_end_with_unsubscribe_and_go_on_with_the_next_subscribe "
            "test_messages_keep_their_order_among_announcements test_messages_of_other_topics_are_not_delivered "
            "test_messages_published_after_subscribe_returned_are_delivered "
            "test_messages_reach_all_who_subscribe_at_once "
            "test_presence_announces_in_the_same_step_and_only_a_change "
            "test_presence_counts_and_sorts_members_not_holders "
            "test_presence_has_one_first_and_one_last_among_many_at_once test_presence_is_idempotent "
            "test_presence_is_true_for_the_first_holder_and_the_last "
            "test_presence_keeps_topics_members_and_holders_apart test_reports_are_what_every_node_said_last "
            "test_reports_expire_one_by_one test_declarations_are_what_all_have_said "
            "test_turns_are_given_once_among_many_at_once test_turns_belong_to_one_and_rise_by_one "
            "test_turns_expire test_turns_go_on_where_the_last_one_stopped"
        ),
    },
    "hubbub.testing.proxy": {
        "Connection": "abort freeze reset",
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


@pytest.mark.parametrize("module", ["hubbub", "hubbub.testing", "hubbub.brokers.redis"])
def test_what_a_package_exported_it_exports(module: str) -> None:
    assert set(importlib.import_module(module).__all__) >= set(NAMES[module])


@pytest.mark.parametrize(
    "name",
    [
        "hubbub.transports.uvicorn:HubbubProtocol",
        "hubbub.transports.http:HubbubHTTP",
        "hubbub.transports.http:HubbubH11",
        "hubbub.showcase.app:app",
    ],
)
def test_what_a_server_loads_by_name_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", "a secret of a test, long enough to be one")
    assert import_from_string(name) is not None
