"""Two releases share a broker during a rolling deploy: what the other one publishes is read, or counted and ignored."""

from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.ports.metrics import Count, Tally
from tests.integration.faults.hubs import Worker, workers
from tests.kit.inside import inside

# As the release published that knew neither history nor positions.
LOBBY = "hubbub:{{hubbub:room:{room}}}:live:0"
PLAIN = b"\x01\x01\x00\x00" + b'{"type":"said","text":"plain","room":"%b"}'
WITHOUT_BOB = b'\x01\x01\x00\x0d{"u":["bob"]}' + b'{"type":"said","text":"not for bob","room":"%b"}'
JOINED = b'\x01\x02\x00\x0d{"u":["eve"]}' + b'{"type":"user_joined_room","room":"%b","user":"eve"}'
REMOVE = b'\x01\x05\x00\x0d{"o":["bob"]}' + b"go"
# As one may that is not written yet: another version, another kind, another word in the header.
FUTURE = [b"\x02\x01\x00\x00" + b'{"type":"said"}', b"\x01\xc8\x00\x00" + b'{"type":"said"}', b"\x02\x00\x00\x02????"]
NEWER_HEADER = b'\x01\x01\x00\x0e{"zz":["bob"]}' + b'{"type":"said","text":"new word","room":"%b"}'


def bundle(*envelopes: bytes) -> bytes:
    """Several at once, as that release joined them."""
    head = b"\x01\x00" + len(envelopes).to_bytes(2, "big")
    return head + b"".join(len(each).to_bytes(4, "big") for each in envelopes) + b"".join(envelopes)


def unknown(one: Worker) -> int:
    metrics = one.hub.metrics
    assert isinstance(metrics, Tally)
    return metrics.counts[Count.UNKNOWN_ENVELOPES]


async def test_what_another_release_publishes_is_delivered_or_counted(url: str, admin: Redis) -> None:
    """In a room with history and in one without: 5 of an older release arrive in order, 3 of a newer are ignored."""
    for room in ("open:a", "kept:a"):
        name = room.encode()
        channel = LOBBY.format(room=room)
        async with workers(RedisBroker(url)) as (one,), one.client("ann") as ann, one.client("bob") as bob:
            for member in (ann, bob):
                await member.join(room)
            assert admin.publish(channel, PLAIN % name) == 1
            assert admin.publish(channel, bundle(WITHOUT_BOB % name, JOINED % name, PLAIN % name)) == 1
            for data in FUTURE:
                admin.publish(channel, data)
            admin.publish(channel, NEWER_HEADER % name)
            position = await one.hub.room(room).send({"type": "said", "text": "now"})
            await ann.receive("said", text="now")
            await bob.receive("said", text="now")
            for member, texts in (
                (ann, ["plain", "not for bob", "plain", "new word", "now"]),
                (bob, ["plain", "plain", "new word", "now"]),
            ):
                assert [said["text"] for said in member.received("said")] == texts
                assert {said["room"] for said in member.received("said")} == {room}
                assert [notice["user"] for notice in member.received("user_joined_room")][-1] == "eve"
            last = ann.received("said")[-1]
            assert last.get("offset") == (None if position is None else 1)
            assert unknown(one) == len(FUTURE)
            admin.publish(channel, REMOVE)
            assert (await bob.receive("room_left"))["reason"] == "go"
            assert inside(one.hub).broker.ready
