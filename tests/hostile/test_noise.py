"""Whatever is sent: nothing raises, nothing stays, and who is honest is served."""

from tests.hostile.noise import complaints, storm

#: `make noise` says as many frames as one wants, a million by default.
FRAMES = 20_000


async def test_random_frames_and_envelopes_at_a_running_server() -> None:
    with complaints() as told:
        came = await storm(FRAMES, seed=2175)
    assert told == []
    assert came["frames"] >= FRAMES
    # Nobody was dropped without a word, and nothing was our fault.
    assert not came["1006"], came
    assert not came["1011"], came
