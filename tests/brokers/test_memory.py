"""What the memory broker does by a clock that the test moves."""

import asyncio

from hubbub.brokers.memory import MemoryBroker


def test_turns_and_reports_end_exactly_with_their_time() -> None:
    async def main() -> None:
        now = 100.0
        broker = MemoryBroker(clock=lambda: now)
        await broker.start(lambda _topic, _data: None, lambda: None)
        assert await broker.take_turn("numbers", "n1", 10) == 1
        await broker.report("n1", b"x", 10)
        now = 109.9
        assert await broker.take_turn("numbers", "n2", 10) is None
        assert await broker.reports() == {"n1": b"x"}
        now = 110.0
        assert await broker.take_turn("numbers", "n2", 10) == 2
        assert await broker.reports() == {}

    asyncio.run(main())


def test_nothing_is_left_of_who_was_there() -> None:
    async def main() -> None:
        broker = MemoryBroker()
        await broker.start(lambda _topic, _data: None, lambda: None)
        for number in range(10):
            await broker.enter("room:r", f"u{number}", "n1")
        for number in range(10):
            await broker.leave("room:r", f"u{number}", "n1")
            await broker.leave("room:r", "stranger", "n1")
        assert not broker._holders

    asyncio.run(main())
