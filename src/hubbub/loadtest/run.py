"""Runs a workload against a server, in this thread, and says what it found.

    result = run(Workload("fanout", in_flight=10), HubbubV1(), Target.parse("ws://127.0.0.1:8000"))

The garbage collector rests meanwhile: what the loop makes is freed by counting, and a collection would be a pause.
"""

import gc
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.loadtest.connecting import Connected, Connecting
from hubbub.loadtest.connection import Connection
from hubbub.loadtest.counts import Counts
from hubbub.loadtest.crowd import Crowd, clock
from hubbub.loadtest.dialect import Dialect
from hubbub.loadtest.request_load import Requests
from hubbub.loadtest.result import Errors, Latency, Result
from hubbub.loadtest.schedules import Apart, Silently, Steadily, Together
from hubbub.loadtest.stream import Stream
from hubbub.loadtest.tags import TAG_SIZE, Tags, padding
from hubbub.loadtest.traffic import Schedule, Speaker, Traffic
from hubbub.loadtest.workloads import Target, Workload

_BETWEEN_REPORTS = 200_000_000
_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` connections while `phase` is `connecting`, seconds while it is `warming up` or `measuring`.

    In the phase `waiting for the rest` both are 0.
    """

    phase: str
    done: float
    total: float


def run(
    workload: Workload, dialect: Dialect, target: Target, *, progress: Callable[[Progress], None] | None = None
) -> Result:
    """Connects, warms up, measures, takes leave.

    `progress` is called a few times a second. Raises BenchError where the server refuses, closes or stalls,
    ConfigurationError for more connections than the machine allows.
    """
    collecting = gc.isenabled()
    gc.disable()
    crowd = Crowd()
    try:
        return _Run(workload, dialect, target, crowd, progress).result()
    finally:
        crowd.close()
        if collecting:
            gc.enable()


class _Run:
    def __init__(
        self,
        workload: Workload,
        dialect: Dialect,
        target: Target,
        crowd: Crowd,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._workload = workload
        self._dialect = dialect
        self._target = target
        self._crowd = crowd
        self._progress = progress
        self._phase = ""
        self._told = 0
        self._tags = Tags()
        self._name = secrets.token_hex(4)  # rooms that nobody else is in
        self._counts = Counts()
        self._streams = self._make_streams()

    def result(self) -> Result:
        workload, counts = self._workload, self._counts
        connected = Connecting(
            crowd=self._crowd,
            workload=workload,
            dialect=self._dialect,
            target=self._target,
            room=self._joined,
            stream=self._stream,
            report=lambda opened: self._report("connecting", opened, workload.members + workload.stall),
        ).all()
        traffic = Traffic(workload, self._crowd, counts, self._report)
        idle = workload.kind == "idle"
        traffic.run(self._schedule(traffic, connected))
        closed = self._crowd.stalled_closed
        nanoseconds = traffic.ends - traffic.counting if idle else max(0, counts.last - traffic.first)
        return Result(
            workload=workload,
            connections=len(connected.connections),
            connecting=Latency.of(connected.latency),
            connections_per_second=len(connected.connections) * _SECOND / connected.took,
            messages=traffic.messages,
            deliveries=counts.latency.count,
            seconds=nanoseconds / _SECOND,
            latency=Latency.of(counts.latency),
            errors=Errors(
                missing=sum(stream.missing for stream in self._streams),
                duplicate=counts.duplicate,
                out_of_order=counts.out_of_order,
                unexpected=counts.unexpected,
            ),
            received=counts.received,
            stalled_closed=len(closed) + self._crowd.closed_unseen(),
            first_closed=(closed[0] - traffic.began) / _SECOND if closed else None,
            tool_cpu=traffic.cpu,
        )

    def _make_streams(self) -> list[Stream]:
        workload, members = self._workload, range(self._workload.members)
        match workload.kind:
            case "fanout":
                return [self._make_stream(list(range(workload.publishers)), len(members))]
            case "rooms":
                count = workload.room_count
                return [
                    self._make_stream(list(members[room::count]), len(members[room::count])) for room in range(count)
                ]
            case "request":
                return [self._make_stream([number], 1) for number in members]
            case "idle":
                return [self._make_stream([], 0)]

    def _make_stream(self, publishers: list[int], members: int) -> Stream:
        return Stream(
            publishers,
            members=members,
            tags=self._tags,
            dialect=self._dialect,
            counts=self._counts,
        )

    def _stream(self, number: int) -> Stream:
        return self._streams[number % len(self._streams)]

    def _room(self, number: int) -> str:
        return f"bench{self._name}room{number % max(1, self._workload.room_count)}"

    def _joined(self, number: int) -> str | None:
        return self._room(number) if self._workload.room_count else None

    def _schedule(self, traffic: Traffic, connected: Connected) -> Schedule:

        workload = self._workload
        members = connected.connections[: workload.members]
        crowd, streams = self._crowd, self._streams
        if workload.kind == "idle":
            return Silently(crowd)
        speakers = self._speakers(members[: workload.publishers] if workload.kind == "fanout" else members)
        if workload.rate is not None:
            return Steadily(traffic, crowd, streams, speakers, rate=workload.rate)
        match workload.kind:
            case "fanout":
                return Together(traffic, crowd, streams, speakers, in_flight=workload.in_flight)
            case "rooms":
                return Apart(traffic, crowd, streams, speakers)
            case "request":
                return Requests(traffic, crowd, self._counts, speakers)

    def _speakers(self, connections: list[Connection]) -> list[Speaker]:
        text = padding(self._workload.text - TAG_SIZE, random.Random(self._workload.seed))  # noqa: S311  # it pads
        return [
            Speaker(
                each,
                self._stream(each.number),
                self._dialect,
                self._tags,
                self._room(each.number),
                text,
                id=self._workload.kind == "request",
            )
            for each in connections
        ]

    def _report(self, phase: str, done: float, total: float) -> None:
        now = clock()
        due = phase != self._phase or now - self._told > _BETWEEN_REPORTS or done >= total > 0
        if self._progress is not None and due:
            self._phase, self._told = phase, now
            self._progress(Progress(phase, done, total))
