"""The event loop that an object of a test belongs to, and what is said where it is used in another.

A fixture of a wider scope than its test's may have a loop of its own, which is open but does not run while the test
does: what it was asked then would wait for ever, or until the test's deadline. pytest is asked who is at work, so that
the fixture and the test are named; without pytest nobody is.
"""

import asyncio
import sys
import traceback

from hubbub.errors import ConfigurationError
from hubbub.scheduling.home_loop import running_loop


class OneLoop:
    """`what` belongs to the loop in which `check` is called first, until that one is closed."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = ""

    def check(self) -> None:
        """Raises ConfigurationError in another loop. Outside of any it says nothing: what is not awaited may pass."""
        here = running_loop()
        if here is None or here is self._loop:
            return
        if self._loop is None or self._loop.is_closed():
            self._loop, self._begun = here, _who()
            return
        raise ConfigurationError(
            f"this {self._what} belongs to the event loop of {self._begun}, and is used in that of {_who()}: nothing "
            "would ever be answered. Give both one loop: with pytest-asyncio the same loop_scope, as "
            '@pytest_asyncio.fixture(scope="session", loop_scope="session") and '
            '@pytest.mark.asyncio(loop_scope="session"); or make it in the test'
        )


def _who() -> str:
    """The fixture or the test that is at work, with the scope of its loop as far as pytest-asyncio says it."""
    here = sys._getframe(1)  # noqa: SLF001 - the name is old, the function is documented
    for frame, _ in traceback.walk_stack(here):
        if frame.f_globals.get("__name__", "").startswith("_pytest."):
            fixture, test = frame.f_locals.get("fixturedef"), frame.f_locals.get("pyfuncitem")
            if fixture is not None:
                return (
                    f"the fixture {fixture.argname!r} (scope {getattr(fixture.func, '_loop_scope', fixture.scope)!r})"
                )
            if test is not None:
                return f"the test {test.name!r} (scope {getattr(test, '_loop_scope', 'function')!r})"
    return "somebody else"
