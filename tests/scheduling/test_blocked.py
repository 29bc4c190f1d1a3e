"""When a loop counts as blocked, driven by a clock of the test's own: nothing waits, and no machine is too slow."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hubbub.scheduling.blocked import Blocked, Look, Stretch, Told, Turn
from hubbub.scheduling.stack import Level, Place, Stack

LIMIT = 0.1


def function(name: str, *, file: str = "/srv/app/db.py") -> Level:
    code = compile("0", file, "exec").replace(co_name=name, co_qualname=name)
    return Level(code, "app.db", 42)


LOAD, SAVE, SMALL = function("load_user"), function("save"), function("small")
WORK = Place("app.work", "app.py", 7)


@dataclass
class Loop:
    """One that beats every tenth of a second, and whoever looks at it."""

    blocked: Blocked = field(default_factory=lambda: Blocked(LIMIT))
    now: float = 100.0
    beat: int = 1
    due: float = 100.0
    cpu: float = 0.0
    cpu_then: float = 0.0
    delayed: float | None = 0.0
    running: bool = True
    withheld: bool = False
    collected: int = 0
    stack: Stack = ()
    again: float = 100.0
    told: list[Told] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.look()

    def look(self, *, late: float = 0.0) -> None:
        self.again, news = self.blocked.look(
            Look(
                now=self.now,
                late=late,
                beat=self.beat,
                due=self.due,
                cpu_then=self.cpu_then,
                cpu=self.cpu,
                delayed=self.delayed,
                withheld=self.withheld,
                running=self.running,
                collected=self.collected,
                stack=lambda: self.stack,
                turns=self.turns,
                stretches=self.stretches,
            )
        )
        self.told += news
        self.turns, self.stretches = [], []

    def passes(self, seconds: float, *, computes: bool = False, waits: bool = False) -> None:
        """With all looks that are due meanwhile."""
        until = self.now + seconds
        while self.now < until:
            then = min(max(self.again, self.now + 0.001), until)
            step, self.now = then - self.now, then
            self.cpu += step if computes else 0.0
            if waits and self.delayed is not None:
                self.delayed += step
            if self.now >= self.again:
                self.look()

    def beats(self, *, late: float = 0.0) -> None:
        self.turns = [Turn(self.beat, self.now, self.now - self.due, self.cpu - self.cpu_then)]
        self.beat, self.due, self.cpu_then = self.beat + 1, self.now + LIMIT, self.cpu
        self.stack = ()
        self.look(late=late)

    def block(self, seconds: float, *stack: Level, computes: bool = False) -> list[Told]:
        """As long, and what was told of it until it was over."""
        self.now = self.again = max(self.now, self.due)
        self.stack, self.told = stack, []
        self.passes(seconds, computes=computes)
        self.beats()
        return self.told


def test_a_short_block_is_told_once_when_it_has_ended() -> None:
    (told,) = Loop().block(0.4, LOAD)
    assert told.place == Place("app.db.load_user", "/srv/app/db.py", 42)
    assert round(told.seconds, 3) == 0.4
    assert (told.lasts, told.collected, told.more) == (False, False, 0)
    assert told.stack == ["/srv/app/db.py:42 app.db.load_user"]


def test_a_long_one_is_told_while_it_lasts_again_each_minute_and_at_its_end() -> None:
    told = Loop().block(125.0, LOAD)
    assert [each.lasts for each in told] == [True, True, True, False]
    assert [round(each.seconds) for each in told] == [1, 61, 121, 125]


def test_what_is_within_the_limit_is_nobodys_affair() -> None:
    loop = Loop()
    for _ in range(50):
        assert loop.block(0.09, LOAD) == []
    assert loop.blocked.count == 0


def test_once_a_minute_a_place_and_how_often_meanwhile() -> None:
    loop = Loop()
    assert len(loop.block(0.3, LOAD)) == 1
    assert [loop.block(0.3, LOAD) for _ in range(5)] == [[]] * 5
    assert len(loop.block(0.3, SAVE)) == 1
    loop.now += 60.0
    loop.beats()
    (told,) = loop.block(0.3, LOAD)
    assert told.more == 5
    assert loop.blocked.count == 8


def test_a_long_one_is_told_also_where_a_short_one_was_just_now() -> None:
    loop = Loop()
    loop.block(0.3, LOAD)
    assert [each.lasts for each in loop.block(5.0, LOAD)] == [True, False]
    assert loop.block(5.0, LOAD) == []


def test_the_function_that_goes_on_is_named_and_not_the_one_it_calls_just_now() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    for small in (SMALL, SAVE, SMALL, SAVE):
        loop.stack = (LOAD, small)
        loop.passes(0.1)
    loop.beats()
    assert [told.place.function for told in loop.told if told.place] == ["app.db.load_user"]


def test_many_small_things_are_told_by_the_lag_alone() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    for number in range(20):
        loop.stack = (function(f"callback_{number}"),)
        loop.passes(0.04)
    loop.beats()
    assert loop.told == []


def test_a_loop_that_waits_for_work_and_one_that_is_looked_at_by_a_debugger() -> None:
    loop = Loop()
    debugger = Level(LOAD.code, "pdb", 1)
    assert loop.block(30.0) == []
    assert loop.block(30.0, LOAD, debugger) == []


def test_a_handler_that_was_debugged_held_nobody_up_by_that() -> None:
    loop = Loop()
    debugger = Level(LOAD.code, "pdb", 1)
    for stack in ((LOAD, debugger), (LOAD,)):
        loop.now = loop.again = max(loop.now, loop.due)
        loop.told = []
        began = loop.now
        loop.stack = (LOAD,)
        loop.passes(0.2)
        loop.stack = stack
        loop.passes(30.0)
        loop.stretches = [Stretch(WORK, loop.now - began, loop.now)]
        loop.beats()
        assert bool(loop.told) is (stack == (LOAD,))


def test_a_machine_that_was_asleep() -> None:
    loop = Loop()
    loop.stack = (LOAD,)
    loop.now += 3600.0
    loop.look(late=3600.0)
    loop.passes(0.05)
    loop.beats()
    assert loop.told == []


def test_a_machine_that_sleeps_within_a_block_is_not_counted_in() -> None:
    loop = Loop()
    loop.stack = (LOAD,)
    loop.passes(0.08)
    loop.now += 50.0
    loop.look(late=50.0)
    assert loop.told == []
    loop.passes(0.2)
    loop.beats()
    assert [told.lasts for told in loop.told] == [False] or [told.lasts for told in loop.told] == [True, False]


def test_a_thread_that_gets_no_processor() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    loop.stack = (LOAD,)
    loop.passes(5.0, waits=True)
    loop.beats()
    assert loop.told == []


def test_one_that_looks_late_each_time_sees_what_lasts_all_the_same() -> None:
    loop = Loop()
    loop.now = loop.due
    loop.stack = (LOAD,)
    for _ in range(20):
        loop.now += 0.1
        loop.look(late=0.08)
    loop.beats(late=0.08)
    assert {told.place.function for told in loop.told if told.place} == {"app.db.load_user"}


def test_who_lets_no_other_thread_run_is_seen_when_it_is_over() -> None:
    loop = Loop()
    loop.now, loop.cpu, loop.stack = loop.due + 2.0, 2.0, (LOAD,)
    loop.look(late=1.9)
    loop.beats()
    (told,) = loop.told
    assert told.place == Place("app.db.load_user", "/srv/app/db.py", 42, "a call that lets no other thread run")
    assert not told.lasts


def test_who_sleeps_on_the_interpreter() -> None:
    loop = Loop(withheld=True)
    loop.now, loop.stack = loop.due + 2.0, (LOAD,)
    loop.look(late=1.9)
    loop.withheld, loop.stack = False, ()
    loop.passes(0.1)
    loop.beats()
    assert [told.place.function for told in loop.told if told.place] == ["app.db.load_user"]


def test_it_goes_on_after_it_was_seen() -> None:
    loop = Loop()
    loop.now, loop.cpu, loop.stack = loop.due + 2.0, 2.0, (LOAD,)
    loop.look(late=1.9)
    loop.passes(0.1)
    assert [told.lasts for told in loop.told] == [True]
    assert loop.told[0].place is not None
    assert loop.told[0].place.within is None


def test_what_was_over_before_anybody_could_look() -> None:
    loop = Loop()
    loop.now, loop.cpu, loop.collected = loop.due + 2.0, 1.5, 1
    loop.beats(late=1.9)
    (told,) = loop.told
    assert told.place is None
    assert told.collected
    assert round(told.seconds, 3) == 2.0


def test_a_late_turn_alone_says_nothing() -> None:
    loop = Loop()
    loop.now = loop.due + 2.0
    loop.beats()
    assert loop.told == []


def test_a_loop_that_does_not_run() -> None:
    loop = Loop(running=False, stack=(LOAD,))
    loop.passes(100.0)
    loop.running = True
    loop.passes(0.05)
    loop.beats()
    assert loop.told == []


def test_a_handlers_own_stretch_is_told_where_nobody_looked() -> None:
    loop = Loop()
    loop.stretches = [Stretch(WORK, 0.12, loop.now)]
    loop.look()
    (told,) = loop.told
    assert (told.place, told.seconds, loop.blocked.count) == (WORK, 0.12, 1)


def test_a_handlers_stretch_and_what_was_seen_in_it_are_one_line() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    loop.stack = (LOAD,)
    loop.passes(0.4)
    loop.stretches = [Stretch(WORK, 0.45, loop.now)]
    loop.beats()
    (told,) = loop.told
    assert told.place is not None
    assert (told.place.function, told.seconds) == ("app.db.load_user", 0.45)


def test_the_handler_has_ended_and_the_loop_has_not_turned_yet() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    loop.stack = (LOAD,)
    loop.passes(0.4)
    loop.stretches = [Stretch(WORK, 0.45, loop.now)]
    loop.look()
    loop.beats()
    assert [told.seconds for told in loop.told] == [0.45]


def test_a_handlers_stretch_says_what_could_not_be_seen() -> None:
    loop = Loop()
    loop.now, loop.cpu = loop.due + 2.0, 2.0
    loop.stretches = [Stretch(WORK, 2.05, loop.now)]
    loop.beats(late=1.9)
    (told,) = loop.told
    assert (told.place, told.seconds) == (WORK, 2.05)


def test_a_handler_that_was_stopped_with_its_machine() -> None:
    loop = Loop()
    loop.now += 10.0
    loop.stretches = [Stretch(WORK, 10.0, loop.now)]
    loop.beats(late=10.0)
    assert loop.told == []


def test_a_handler_that_got_no_processor() -> None:
    loop = Loop()
    loop.passes(0.2, waits=True)
    loop.stretches = [Stretch(WORK, 0.15, loop.now)]
    loop.beats()
    assert loop.told == []


def test_where_the_system_tells_nothing_of_its_threads() -> None:
    loop = Loop(delayed=None)
    (told,) = loop.block(0.4, LOAD)
    assert told.place is not None


def test_of_very_many_places_the_last_are_remembered() -> None:
    loop = Loop()
    tell: Callable[[int], None] = lambda number: loop.stretches.append(  # noqa: E731
        Stretch(Place(f"work_{number}", "", 0), 0.2, loop.now)
    )
    for number in (*range(300), 299, 0):
        tell(number)
        loop.now += 0.3
        loop.look()
    assert len(loop.told) == 301
    assert loop.told[-1].place == Place("work_0", "", 0)


def test_a_stretch_and_a_block_that_have_nothing_to_do_with_each_other() -> None:
    loop = Loop()
    loop.now = loop.again = loop.due
    loop.stack = (LOAD,)
    loop.passes(0.4)
    loop.stretches = [Stretch(WORK, 0.2, loop.now - 5.0)]
    loop.beats()
    assert [told.seconds for told in loop.told] != [0.2]
    assert {told.place.function for told in loop.told if told.place} == {"app.db.load_user", "app.work"}
