"""What a server says that it should not: tracebacks, errors, tasks and coroutines that nobody waited for.

Whatever starts a server in a test leaves here where its output is found; a server in the test's own process is heard by
its logs. At the end of each test what was said since the last one is looked at, and what the test has not declared
fails it:

    @pytest.mark.complains("a handler failed")

declares by regular expressions, each for whole entries of a log: the line, and the traceback behind it.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: How an entry of a log begins: uvicorn's and ours, gunicorn's, Granian's, Daphne's, a line of access, and JSON.
_BEGINS = re.compile(r"^(?:\{\"|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|\[|\d{4}-\d\d-\d\d |\d+\.\d+\.\d+\.\d+:\d+ - )")
_COMPLAINT = re.compile(
    r"Traceback \(most recent call last\)|^\s*\+ Exception Group Traceback"
    r"|Task exception was never retrieved|Future exception was never retrieved|Exception in callback"
    r"|Task was destroyed but it is pending|was never awaited|Exception ignored in|Fatal Python error"
    r"|^(?:\d{4}-\d\d-\d\d \S+ |\[[^\]]*\] \[\d+\] )?\[?(?:ERROR|CRITICAL)\b"
    r'|^\{"time": "[^"]*", "level": "(?:ERROR|CRITICAL)"',
    re.MULTILINE,
)
#: What is nobody's fault here.
_KNOWN = re.compile(
    # uvicorn's own class has that for every handshake that is refused by HTTP, and so answered as it should be.
    r"ASGI callable returned without completing handshake"
)


def entries(text: str) -> list[str]:
    """Of a log: each line with what belongs to it. A line that begins like none belongs to the one before it."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if not found or _BEGINS.match(line):
            found.append([line])
        else:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]


def complaints_in(text: str) -> list[str]:
    return [entry for entry in entries(text) if _COMPLAINT.search(entry) and not _KNOWN.search(entry)]


@dataclass
class Source:
    """A server that runs. `read`: all that it has said."""

    name: str
    read: Callable[[], str]
    seen: int = 0
    """So many characters of it were looked at."""

    def news(self) -> list[str]:
        text = self.read()
        said, self.seen = text[self.seen :], len(text)
        return [f"{self.name}: {each}" for each in complaints_in(said)]


class Complaints(logging.Handler):
    """Of all servers of this process's tests."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._sources: list[Source] = []
        self._found: list[str] = []
        self._in_a_test = False
        self._serving = 0
        self._told: list[str] = []

    def watch(self, name: str, read: Callable[[], str]) -> Source:
        """A server has been started. Ends with `ended`."""
        source = Source(name, read)
        self._sources.append(source)
        return source

    def ended(self, source: Source) -> None:
        """Call when it has said all. Raises AssertionError where no test runs that could be told."""
        if source not in self._sources:
            return
        self._sources.remove(source)
        found = source.news()
        if self._in_a_test:
            self._found += found
        else:
            assert not found, _in_words(found)

    @contextmanager
    def in_this_process(self) -> Iterator[None]:
        """A server runs here: what is logged is its."""
        if not self._serving:
            logging.getLogger().addHandler(self)
        self._serving += 1
        try:
            yield
        finally:
            self._serving -= 1
            if not self._serving:
                logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        # The collector tells that when it comes by, of a task that any test before may have left.
        if record.name == "asyncio" and record.getMessage().startswith("Task was destroyed"):
            return
        self._told.append(self.format(record))

    def begin(self) -> None:
        """A test begins. What its servers have said since the last one ended is its as well, as they start for it."""
        self._in_a_test = True

    def end(self, declared: Iterable[str]) -> None:
        """It has ended. Raises AssertionError where a server has said what was not `declared`."""
        self._in_a_test = False
        found, self._found = self._found, []
        told, self._told = self._told, []
        found = [*found, *(each for source in self._sources for each in source.news())]
        found += [each for entry in told for each in complaints_in(entry)]
        patterns = [re.compile(pattern) for pattern in declared]
        left = [each for each in found if not any(pattern.search(each) for pattern in patterns)]
        assert not left, _in_words(left)


def _in_words(found: list[str]) -> str:
    most = 5
    more = f"\n… and {len(found) - most} more" if len(found) > most else ""
    said = "\n".join(found[:most])
    return f"a server has said what this test does not declare (@pytest.mark.complains):\n{said}{more}"


COMPLAINTS = Complaints()
