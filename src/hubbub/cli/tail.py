"""`hubbub tail ROOM`: what is said in a room of a running server, a line each, as it comes.

Messages go to standard output; what becomes of the connection goes to standard error, so that a pipe has messages
alone, and nothing is missing in it without a word. Exit codes: 0 the server has finished, or nobody reads any more;
1 refused, put out, or what came cannot be written; 2 a flag is wrong; 130 and 143 ended by SIGINT and SIGTERM.
"""

import asyncio
import contextlib
import json
import re
import select
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubbub.auth.redaction import harmless
from hubbub.cli.credential import endpoint, signer, socket_url, target_of
from hubbub.cli.ending import until_told
from hubbub.cli.output import give_up_output
from hubbub.cli.settings import Settings
from hubbub.client.session import Away, CaughtUp, Connected, Event, Heard, Joined, Session, SessionEnded
from hubbub.errors import ConfigurationError, HubbubError
from hubbub.protocol.features import DIFF

_NOTICES = frozenset({"user_joined_room", "user_left_room", "presence_diff", "user_presence"})
_SINCE = re.compile(r"(?:(?P<epoch>[!-~]+):)?(?P<offset>[0-9]{1,16})")
#: What of a message stands in columns of its own, or is the same on every line.
_TOLD = frozenset({"room", "offset"})
_SPEAKERS = ("from", "user")
_LONGEST = 100_000
#: Seconds.
_LOOK = 0.5


class _CannotWrite(HubbubError):
    """What came cannot be printed: a disk is full."""


@dataclass(frozen=True, slots=True)
class Tailed:
    """As the flags say it. `history` and `since` exclude each other."""

    room: str
    url: str
    path: str | None
    user: str
    history: int | None
    since: str | None
    presence: bool
    in_json: bool


def follow(asked: Tailed, settings: Settings, *, token: str | None) -> int:
    """Until it ends; the exit code. Raises ConfigurationError for what is wrong with a flag."""
    sign = signer(token, settings)
    url = socket_url(target_of(asked.url), endpoint(asked.path, credential=sign is not None), asked.user)
    if sign is not None:
        _try_to_sign(sign, asked.user)
    session = Session(
        url,
        rooms={asked.room: _since(asked)},
        credential=lambda: None if sign is None else sign(asked.user),
        renews=token is None and sign is not None,
        features=[DIFF] if asked.presence else [],
    )
    printer = _Printer(asked)
    try:
        return asyncio.run(until_told(_run(session, printer)))
    except SessionEnded as ended:
        with contextlib.suppress(BrokenPipeError):
            printer.flush_kept()
        _tell(f"{ended}")
        return 0 if ended.code == 1000 else 1
    except BrokenPipeError:
        give_up_output()
        return 0
    except _CannotWrite as error:
        give_up_output()
        _tell(f"cannot write what came: {error}")
        return 1


async def _run(session: Session, printer: "_Printer") -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    watching = asyncio.create_task(_until_nobody_reads())
    watching.add_done_callback(lambda ended: ended.cancelled() or task.cancel())
    try:
        async with contextlib.aclosing(session.events()) as events:
            async for event in events:
                printer.take(event)
    except asyncio.CancelledError:
        if not watching.done():
            raise
    finally:
        watching.cancel()
    return 0


async def _until_nobody_reads() -> None:
    """A room may be silent for hours, and nothing is written into a pipe that would tell that its reader is gone."""
    poll: Any = getattr(select, "poll", None)
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        poll = None
    if poll is None:
        await asyncio.Event().wait()
        return
    ends = poll()
    ends.register(output, 0)
    while not ends.poll(0):  # noqa: ASYNC110 - the kernel tells, and no loop of asyncio listens to that
        await asyncio.sleep(_LOOK)


class _Printer:
    """`asked.history`: so many of those that are kept are held until all of them have come."""

    def __init__(self, asked: Tailed) -> None:
        self._asked = asked
        self._kept: deque[str] | None = None if asked.history is None else deque(maxlen=asked.history)
        self._there: set[str] | None = None

    def take(self, event: Event) -> None:
        match event:
            case Connected(again=True):
                _tell("connected again")
            case Joined():
                self._joined(event)
            case Heard():
                self._heard(event)
            case CaughtUp():
                self.flush_kept()
            case Away():
                _tell(f"{event.why}; again in {event.seconds:.1f} s")

    def flush_kept(self) -> None:
        kept, self._kept = self._kept, None
        for line in kept or ():
            self._print(line)

    def _joined(self, event: Joined) -> None:
        answer = event.answer
        if event.again:
            if event.lost:
                _tell(f"recovered: false: what was said in {event.room} meanwhile is lost{_why(answer)}")
            else:
                _tell("recovered: true: what was said meanwhile follows")
        elif event.lost and self._asked.since is not None:
            _tell(f"recovered: false: what was said after {self._asked.since} is not all kept any more{_why(answer)}")
        elif event.lost and "offset" not in answer:
            _tell(f"{event.room} keeps no history")
        if self._asked.presence and isinstance(answer.get("members"), list):
            self._members({str(member) for member in answer["members"]})

    def _members(self, there: set[str]) -> None:
        """Who is there, the first time; then who came and went meanwhile."""
        before, self._there = self._there, there
        if before is None:
            self._notice("here", sorted(there))
        else:
            self._notice("joined", sorted(there - before))
            self._notice("left", sorted(before - there))

    def _heard(self, event: Heard) -> None:
        message = event.message
        type = message["type"]
        if type in _NOTICES:
            self._came_or_went(message)
        elif type == "gap":
            _tell(_gap(message))
            if self._asked.in_json:
                self._print(_json(message))
        elif message.get("room") == self._asked.room:
            line = _json(message) if self._asked.in_json else _line(message, kept=event.kept)
            if event.kept and self._kept is not None:
                self._kept.append(line)
            else:
                self._print(line)
        elif type == "error":
            _tell(f"{message.get('code')}: {message.get('message')}")

    def _came_or_went(self, message: Mapping[str, Any]) -> None:
        if not self._asked.presence or message.get("room") != self._asked.room:
            return
        there = self._there if self._there is not None else set()
        joined, left = _names(message, "joined", "user_joined_room"), _names(message, "left", "user_left_room")
        self._notice("joined", [name for name in joined if name not in there])
        self._notice("left", [name for name in left if name in there or self._there is None])
        self._there = (there | set(joined)) - set(left)

    def _notice(self, what: str, users: list[str]) -> None:
        if not users:
            return
        if self._asked.in_json:
            # As the protocol has it, however it was told.
            diff = {"joined": [], "left": [], "left" if what == "left" else "joined": users}
            self._print(_json({"type": "presence_diff", "room": self._asked.room, **diff}))
        else:
            self._print(f"{_now()}  {'-':>6}  {what}: {harmless(', '.join(users), limit=_LONGEST)}")

    def _print(self, line: str) -> None:
        encoding = sys.stdout.encoding or "ascii"
        try:
            # Who speaks may have a name that the terminal or file cannot have.
            print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)  # noqa: T201 - as below
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _CannotWrite(error.strerror or type(error).__name__) from None


def _since(asked: Tailed) -> dict[str, Any] | None:
    if asked.history is not None:
        if asked.since is not None:
            raise ConfigurationError("--history and --since say two things: give one of them")
        if asked.history < 0:
            raise ConfigurationError("--history is a whole number, 0 or more")
        # All that is kept, because positions may skip, and some may not be kept any more.
        return {"offset": 0} if asked.history else None
    if asked.since is None:
        return None
    match = _SINCE.fullmatch(asked.since)
    if match is None:
        raise ConfigurationError("--since is an offset or EPOCH:OFFSET, as in 17 or 4f1c2d:17")
    epoch = {} if match["epoch"] is None else {"epoch": match["epoch"]}
    return {**epoch, "offset": int(match["offset"])}


def _try_to_sign(sign: Any, user: str) -> None:
    """Before anything is connected, where it can be told by which flag."""
    try:
        sign(user)
    except ValueError as error:
        raise ConfigurationError(f"--user: {error}") from None


def _why(answer: Mapping[str, Any]) -> str:
    if "offset" not in answer:
        return ": the room keeps no history"
    return f"; it goes on after {answer['offset']}"


def _gap(message: Mapping[str, Any]) -> str:
    room = harmless(str(message.get("room")))
    if "dropped" in message:
        return f"gap: {message['dropped']} messages of {room} were left out, because this reader was too slow"
    return (
        f"gap: what {room} was sent after {message.get('after')}, up to {message.get('upto')}, was not delivered here"
    )


def _names(message: Mapping[str, Any], several: str, single: str) -> list[str]:
    if message["type"] == single:
        return [str(message.get("user"))]
    found = message.get(several)
    return [str(name) for name in found] if isinstance(found, list) else []


def _line(message: Mapping[str, Any], *, kept: bool) -> str:
    """Time of its coming, offset, who says it, and the rest as JSON. Nothing in it moves a cursor."""
    speaker = next((str(message[name]) for name in _SPEAKERS if isinstance(message.get(name), str)), "-")
    offset = f"#{message['offset']}" if "offset" in message else "-"
    rest = {name: value for name, value in message.items() if name not in _TOLD}
    when = "earlier " if kept else _now()
    return f"{when}  {offset:>6}  {harmless(speaker, limit=128)}  {_json(rest)}"


def _json(message: Mapping[str, Any]) -> str:
    """One line, of characters that the terminal or file can have, and none that it would obey."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(message, ensure_ascii=not utf8, separators=(", ", ": "))
    return text if text.isascii() else "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def _tell(sentence: str) -> None:
    with contextlib.suppress(OSError):
        print(harmless(sentence, limit=1000), file=sys.stderr, flush=True)  # noqa: T201 - what the command is for
