"""`docs/reference/protocol.md` against the source. What the wire does is shown elsewhere, on servers."""

import re

from hubbub.closes import CLOSES
from hubbub.errors import ERROR_CODES
from hubbub.options import Heartbeat, Limits, Rate, RoomRate
from hubbub.presence import storms
from hubbub.protocol.features import KNOWN
from hubbub.protocol.messages import RESERVED
from hubbub.rooms import handing
from tests.docs.pages import plain, read, rows, sections

PAGE = "docs/reference/protocol.md"


def size(count: float) -> str:
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if count % unit == 0:
            return f"{count / unit:g} {name}"
    return f"{count:g} bytes"


def test_the_close_codes() -> None:
    table = {int(code): (plain(meaning), back) for code, meaning, back in rows(sections(PAGE)["Close codes"])}
    assert set(table) == {close.code for close in CLOSES}
    for close in CLOSES:
        meaning, back = table[close.code]
        assert close.reason in meaning
        assert close.comes_back.value == plain(back)
    # Nothing stands there that no close says.
    for code, (meaning, _) in table.items():
        assert meaning == "; or: ".join(close.reason for close in CLOSES if close.code == code)


def test_the_error_codes() -> None:
    assert [plain(code) for code, _ in rows(sections(PAGE)["Errors"])] == list(ERROR_CODES)


def test_the_limits() -> None:
    limits, rate, room, beat = Limits(), Rate(), RoomRate(), Heartbeat()
    assert {what: limit for what, limit, _ in rows(sections(PAGE)["Limits"])} == {
        "message from a client": size(limits.message),
        "first message, where it brings the credential": (
            f"{size(limits.credential + limits.first_message)}: a credential and {size(limits.first_message)}"
        ),
        "nesting of JSON": f"{limits.depth}",
        "values in the JSON of a message": f"{limits.nodes:,}",
        "name of a room or user": size(limits.name),
        "rooms a connection": f"{limits.rooms}",
        "what a connection shows": size(limits.presence),
        "messages waiting": f"{limits.waiting}, and joins and leaves of {limits.rooms} rooms and `@me` beside them",
        "what waits of them, as it is in memory": (
            f"{size(limits.waiting_bytes)}; {size(limits.first_message)} before `welcome`"
        ),
        "messages a second": f"{rate.messages:g}, and {rate.burst} at once; no limit in development",
        "bytes a second, inflated": (
            f"{size(int(rate.bytes))}, and {size(rate.bytes_burst)} at once; no limit in development"
        ),
        "both, of all a user's connections on one worker": {4.0: "four times as much"}[rate.tabs],
        "messages refused for their rate": f"{rate.refusals}, regained at one a second",
        "what clients publish into a room, on one worker": f"{room.messages:g} messages and {size(int(room.bytes))} a "
        f"second, {room.burst} and {size(room.burst_bytes)} at once, one user half as fast; no limit in development",
        "what joins are handed, a connection": f"{limits.replay_rate:g} messages and {size(limits.replay_bytes)} a "
        f"second, at once all that {limits.rooms} rooms and `@me` have; all tabs of a user {handing.TABS} times "
        "as much; no limit in development",
        "unsent data a connection": size(limits.outbox),
        "message of the application's": size(limits.payload),
        "credential": size(limits.credential),
        "time to authenticate": f"{limits.authenticate:g} s",
        "time to take what is left at a close": f"{limits.closing:g} s",
        "heartbeat": f"every {beat.interval:g} s, answer within {beat.timeout:g} s",
        "connections a user, on one worker": f"{limits.connections_per_user}",
        "connections a worker": f"{limits.connections}",
        "connections a worker that wait to authenticate": f"{limits.unauthenticated}",
    }


def test_the_numbers_in_the_text_are_those_of_the_table() -> None:
    text, limits = read(PAGE), Limits()
    assert f"alone, within {limits.authenticate:g} s |" in text
    assert f"Up to {limits.waiting} may wait" in text
    assert f"nesting up to {limits.depth}, up to {limits.nodes:,} values." in text
    assert f"have 1 to {limits.name} bytes" in text
    assert f"is in {limits.rooms} rooms" in text
    assert f"at most {size(limits.presence)} of JSON, nested" in text
    assert f"At most {size(limits.payload)}; of how many" in text


def test_the_reserved_types() -> None:
    said = re.search(r"The reserved types,.*?: (.*?)\.\n", read(PAGE), re.DOTALL)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[1])) == RESERVED


def test_every_reserved_type_is_in_the_tables_and_no_other() -> None:
    titles = ("Client to server", "Server to client")
    types = {
        type for title in titles for first, *_ in rows(sections(PAGE)[title]) for type in re.findall(r"`(\w+)`", first)
    }
    assert types == RESERVED


def test_every_feature_has_a_section() -> None:
    titles = re.findall(r"^### `(\w+)`$", read(PAGE), re.MULTILINE)
    assert set(titles) == KNOWN


def test_what_has_to_be_asked_for_is_not_reserved() -> None:
    """An application's own handler of such a name keeps working where nobody asks."""
    types = {plain(type) for _, type, *_ in rows(sections(PAGE)["presence"])}
    assert types - RESERVED == {"set_presence", "user_presence"}
    types = {plain(type) for _, type, *_ in rows(sections(PAGE)["diff"])}
    assert types - RESERVED == {"users_diff"}


def test_the_figures_of_many_who_come_and_go() -> None:
    text = sections(PAGE)["Many who come and go"]
    assert f"fewer than {storms.SMALL}" in text
    assert f"no more than {Limits().notices:,} notices a second" in text
    assert f"up to {storms.LATER:,} users behind" in text
