"""What one worker asks all of them: for numbers and lists that each has in memory alone.

A question goes to the topic that all workers hear, the answers to a topic of who asked. Who lives is known from the
reports (`hubbub.hub.cluster`): so an answer that is missing is told as missing, and nobody waits for the dead.
"""

import asyncio
import contextvars
import inspect
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from hubbub.errors import ConfigurationError, Unavailable
from hubbub.ports.broker import Broker
from hubbub.ports.logs import Event, fields
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.scheduling.tasks import Spawn, is_our_end
from hubbub.types import WORKERS, NodeId, node_topic

_log = logging.getLogger("hubbub.cluster")

#: Gets what was asked by name, and returns what JSON can say.
Answer: TypeAlias = Callable[..., Any]

# A worker whose loop stands still answers late, and the others are not to wait for it.
_WITHIN = 1.0
#: Bytes of one worker's answer.
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Answers:
    """`said`: what each worker answered, by node. `failed`: those that could not, and why. `silent`: those that live,
    and had not answered after a second."""

    said: Mapping[NodeId, Any]
    failed: Mapping[NodeId, str]
    silent: tuple[NodeId, ...]


@dataclass(slots=True)
class _Asked:
    """`living`: None until it is known who that is."""

    living: frozenset[NodeId] | None = None
    said: dict[NodeId, Any] = field(default_factory=dict)
    failed: dict[NodeId, str] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        if self.living is not None and self.living <= self.said.keys() | self.failed.keys():
            self.complete.set()


class Questions:
    """`known`: by what they answer, see `Workers.answers`."""

    def __init__(self, broker: Broker, node: NodeId, known: Mapping[str, Answer], spawn: Spawn) -> None:
        self._broker = broker
        self._node = node
        self._topic = node_topic(node)
        self._known = known
        self._spawn = spawn
        # What is asked for several is asked in nobody's name.
        self._context = contextvars.copy_context()
        self._heard_here = False
        self._numbers = itertools.count(1)
        self._open: dict[int, _Asked] = {}
        self._shared: dict[str, asyncio.Task[Answers]] = {}
        self._stopped = False

    async def ask(self, what: str, asked: Mapping[str, Any]) -> Answers:
        """Whoever asks the same meanwhile gets the same answers. Raises Unavailable."""
        question = json.dumps([what, asked], sort_keys=True)
        task = self._shared.get(question)
        if task is None:
            task = self._shared[question] = self._context.copy().run(asyncio.create_task, self._ask(what, asked))
            task.add_done_callback(partial(self._ended, question))
        try:
            # One who gives up does not take the answers from the others.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._stopped:
                raise Unavailable from None
            raise

    def heard(self, envelope: Envelope) -> None:
        """A question, or an answer to one of ours."""
        try:
            said = json.loads(envelope.payload)
            if envelope.kind is Kind.ASKED:
                self._spawn(self._answer(NodeId(said["node"]), said["number"], said["what"], said["asked"]))
                return
            asked = self._open.get(said["number"])
            if asked is None:
                return  # too late
            node = NodeId(said["node"])
            if "failed" in said:
                asked.failed[node] = said["failed"]
            else:
                asked.said[node] = said["answer"]
        except (ValueError, KeyError, TypeError, RecursionError):
            _log.warning(
                "a question between workers could not be read, and was passed over",
                extra=fields(Event.QUESTION_UNREADABLE),
            )
        else:
            asked.look()

    def stop(self) -> None:
        self._stopped = True
        for task in tuple(self._shared.values()):
            task.cancel()

    def _ended(self, question: str, task: asyncio.Task[Answers]) -> None:
        self._shared.pop(question, None)
        if not task.cancelled():
            task.exception()  # whoever still waits has it

    async def _ask(self, what: str, asked: Mapping[str, Any]) -> Answers:
        if not self._heard_here:
            await self._broker.subscribe(self._topic)
            self._heard_here = True
        number = next(self._numbers)
        question = self._open[number] = _Asked()
        try:
            word = {"node": self._node, "number": number, "what": what, "asked": asked}
            await self._broker.publish(WORKERS, Envelope(Kind.ASKED, json.dumps(word).encode()).encode())
            question.living = frozenset(NodeId(node) for node in await self._broker.reports())
            question.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_WITHIN):
                    await question.complete.wait()
        finally:
            del self._open[number]
        silent = question.living - question.said.keys() - question.failed.keys()
        return Answers(question.said, question.failed, tuple(sorted(silent)))

    async def _answer(self, to: NodeId, number: int, what: str, asked: Mapping[str, Any]) -> None:
        said: dict[str, Any] = {"node": self._node, "number": number}
        answer = self._known.get(what)
        if answer is None:
            said["failed"] = "it is not asked that in this worker's application"
        else:
            try:
                answered = answer(**asked)
                said["answer"] = await answered if inspect.isawaitable(answered) else answered
                # Strictly: json would write NaN, which not everybody reads.
                json.dumps(said, allow_nan=False)
            except BaseException as error:  # whatever it is, who asked is to hear that there is no answer
                if is_our_end(error):
                    raise
                _log.exception(
                    "%s could not be answered to another worker", what, extra=fields(Event.QUESTION_FAILED, cause=what)
                )
                said.pop("answer", None)
                said["failed"] = type(error).__name__
        data = json.dumps(said).encode()
        if len(data) > _LARGEST:
            data = json.dumps(
                {**said, "answer": None, "failed": f"the answer is larger than {_LARGEST} bytes"}
            ).encode()
        with suppress(Unavailable):  # the broker says itself that it is away; who asked calls this worker silent
            await self._broker.publish(node_topic(to), Envelope(Kind.ANSWERED, data).encode())


class Workers:
    """All workers of the cluster, this one among them: what they can be asked, and asking them.

    `here`: raises ConfigurationError while the hub is not running.
    """

    def __init__(self, here: Callable[[], Questions]) -> None:
        self._here = here
        self.known: dict[str, Answer] = {}

    def answers(self, what: str, answer: Callable[..., Any | Awaitable[Any]]) -> None:
        """Have this worker answer `what`: the function gets what was asked by name, and returns what JSON can say.

        Its answer is at most 1 MiB. Raises ConfigurationError where another function answers it already.
        """
        if self.known.setdefault(what, answer) != answer:
            raise ConfigurationError(f"{what!r} is answered by another function already")

    async def ask(self, what: str, **asked: Any) -> Answers:
        """What all workers answer, within a second or little more. Raises Unavailable, ConfigurationError.

        Whoever asks the same meanwhile gets the same answers: they are to be read and not changed.
        """
        return await self._here().ask(what, asked)
