"""A storm, in which all connections are lost at once, and a deploy, in which workers are replaced, step by step.

What is played is the rules that the code has: a gate of `Limits(handshakes=)` for each worker with a bucket of twice as
many, 503 and `Retry-After` beyond it, a drain that closes over half its window and spreads the returns over all of it,
and clients that wait with full jitter under a ceiling that doubles. Clients are counted, not told apart, and workers
that are up are alike; so ten million take no longer than a thousand. `gauss` is the chance in it: the same gives the
same.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

#: Mean and deviation in, a number out: `random.Random(seed).gauss`.
Gauss: TypeAlias = Callable[[float, float], float]

STEP = 0.05
FIRST, CEILING = 0.5, 20.0
#: `Retry-After` of a worker that was asked more often than it looks, and of one that leaves.
TOO_MANY, LEAVING = 1.0, 2.0
_LEVELS = 8
#: After which nobody is waited for any more: refusing them all takes the workers more than they have.
_LONGEST = 900.0
_ALMOST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """
    handshakes: of `Limits`. window: of `Leaving`. come, refuse, leave, start: processor seconds of one of each.
    processor: cores that one worker has. start_takes: seconds until a new worker serves. tail: seconds from the last
    close until a worker is gone. patience: seconds that a client waits to be let in. at_once: workers that a deploy
    replaces together. one_door: whether the one that leaves takes connections from the same socket as the others, as
    the workers of one `hubbub serve` do, and refuses them.
    """

    clients: int
    workers: int
    handshakes: float = 1_000.0
    window: float = 5.0
    come: float = 0.001
    refuse: float = 0.0002
    leave: float = 0.0002
    start: float = 1.0
    processor: float = 1.0
    start_takes: float = 2.0
    tail: float = 0.5
    patience: float = 30.0
    at_once: int = 1
    one_door: bool = False

    def __post_init__(self) -> None:
        if self.clients < 1 or self.workers < 1 or not 1 <= self.at_once <= self.workers:
            raise ValueError("at least one client, one worker, and no more workers at once than there are")


@dataclass(slots=True)
class Outcome:
    """Times are seconds from the beginning, `work` processor seconds of all workers.

    half, most, all: when so many were in again (50 %, 99 %, every one); infinite where they were not within a quarter
    of an hour. queue: clients whose handshake waits for a worker, the most at a time. arrivals: handshakes in the
    busiest second. moves: connections that a deploy closed.
    """

    half: float = 0.0
    most: float = 0.0
    all: float = 0.0
    queue: int = 0
    arrivals: int = 0
    refusals: int = 0
    given_up: int = 0
    moves: int = 0
    work: float = 0.0
    inside: list[int] = field(default_factory=list)
    """How many were in at the end of each step of `STEP` seconds."""


class _Waiting:
    """Clients on their way back who have failed so often: spread evenly over times to come."""

    def __init__(self, gauss: Gauss) -> None:
        self.count = 0
        self._gauss = gauss
        self._rate = 0.0
        self._owed = 0.0
        self._changes: dict[int, float] = defaultdict(float)

    def add(self, count: int, now: int, after: float, over: float) -> None:
        """`count` come within `over` seconds that begin `after` seconds from this step."""
        if not count:
            return
        first, steps = now + 1 + round(after / STEP), max(1, round(over / STEP))
        self._changes[first] += count / steps
        self._changes[first + steps] -= count / steps
        self.count += count

    def due(self, now: int) -> int:
        """How many come in this step."""
        self._rate += self._changes.pop(now, 0.0)
        if not self.count:
            self._rate = self._owed = 0.0 if not self._changes else self._rate
            return 0
        rate = max(0.0, self._rate)
        self._owed += rate
        chance = self._gauss(0.0, math.sqrt(rate)) if rate > _ALMOST else 0.0
        come = min(self.count, max(0, math.floor(self._owed + chance + _ALMOST)))
        if rate <= _ALMOST and not self._changes:
            come = self.count
        self._owed -= come
        self.count -= come
        return come


class _Game:
    """What both have in common: who waits, the gate, and the workers' time."""

    def __init__(self, cluster: Cluster, gauss: Gauss) -> None:
        self.cluster = cluster
        self.outcome = Outcome()
        self.waiting = [_Waiting(gauss) for _ in range(_LEVELS)]
        self.now = 0
        self.inside = 0
        self.landed = 0.0
        """By one worker that was up all the time."""
        self._tokens = 2 * cluster.handshakes
        self._queue: deque[list[int]] = deque()
        """Of those who are at a door: since which step, how many, how often they had failed."""
        self._queued = 0
        self._spent = 0.0
        self._recent: deque[int] = deque(maxlen=round(1 / STEP))

    @property
    def away(self) -> int:
        return self.cluster.clients - self.inside

    def play(self, up: int, leaving: int = 0) -> None:
        """One step, with so many workers up, and so many more at the same door that refuse."""
        cluster, outcome = self.cluster, self.outcome
        self._tokens = min(2 * cluster.handshakes, self._tokens + cluster.handshakes * STEP)
        coming = [level.due(self.now) for level in self.waiting]
        self._recent.append(sum(coming))
        outcome.arrivals = max(outcome.arrivals, sum(self._recent))
        wrong_door = leaving / (up + leaving)
        for failed, count in enumerate(coming):
            elsewhere = round(count * wrong_door)
            self._refuse(elsewhere, failed, LEAVING)
            self.spend(elsewhere * cluster.refuse)
            if count > elsewhere:
                self._queue.append([self.now, count - elsewhere, failed])
                self._queued += count - elsewhere
        outcome.queue = max(outcome.queue, self._queued)
        self._serve(up)
        outcome.inside.append(self.inside)
        self.now += 1

    def _refuse(self, count: int, failed: int, after: float) -> None:
        self.outcome.refusals += count
        self._send_back(count, failed, after)

    def _send_back(self, count: int, failed: int, after: float) -> None:
        """Once more than before."""
        again = min(_LEVELS - 1, failed + 1)
        self.waiting[again].add(count, self.now, after, min(CEILING, FIRST * 2**again))

    def spend(self, seconds: float) -> None:
        """Of the workers' processors, before anything else is done."""
        self._spent += seconds
        self.outcome.work += seconds

    def _serve(self, up: int) -> None:
        """In the order they came: a socket waits for the loop before anybody asks whether it may come in."""
        cluster = self.cluster
        there = up * cluster.processor * STEP - self._spent
        longest = round(cluster.patience / STEP)
        while self._queue and there > 0:
            since, count, failed = self._queue[0]
            allowed = math.floor(self._tokens * up + _ALMOST)
            cost = cluster.come if allowed else cluster.refuse
            done = min(count, allowed or count, max(1, math.floor(there / max(cost, _ALMOST))))
            there -= done * cost
            self.outcome.work += done * cost
            self._queued -= done
            self._tokens -= done / up if allowed else 0.0
            if self.now - since > longest:
                # The work is done all the same, for somebody who has gone.
                self.outcome.given_up += done
                self._send_back(done, failed, 0.0)
            elif allowed:
                self.inside += done
                self.landed += done / up
            else:
                self._refuse(done, failed, TOO_MANY)
            if done == count:
                self._queue.popleft()
            else:
                self._queue[0][1] -= done
        self._spent = max(0.0, -there)


def storm(cluster: Cluster, gauss: Gauss) -> Outcome:
    """All connections end in one moment, the workers stand, and everybody comes back."""
    game = _Game(cluster, gauss)
    game.waiting[0].add(cluster.clients, 0, 0.0, FIRST)
    game.spend(cluster.clients * cluster.leave)
    return _back(game)


def deploy(cluster: Cluster, gauss: Gauss) -> Outcome:
    """`at_once` workers after another: new ones start, then the old ones drain, then the next."""
    game = _Game(cluster, gauss)
    game.inside = cluster.clients
    left = cluster.workers
    while left:
        size = min(cluster.at_once, left)
        game.spend(size * cluster.start)
        for _ in range(round(cluster.start_takes / STEP)):
            game.play(cluster.workers)
        _drain(game, size)
        left -= size
    return _back(game)


def _drain(game: _Game, size: int) -> None:
    cluster = game.cluster
    here = min(game.inside, round(size * (cluster.clients / cluster.workers + game.landed)))
    here = min(here, cluster.clients)
    steps = max(1, round(cluster.window / 2 / STEP))
    refusing = size if cluster.one_door else 0
    for step in range(steps):
        closed = here * (step + 1) // steps - here * step // steps
        game.inside -= closed
        game.outcome.moves += closed
        game.spend(closed * cluster.leave)
        game.waiting[0].add(closed, game.now, 0.0, max(cluster.window, FIRST))
        game.play(cluster.workers, refusing)
    for _ in range(round(cluster.tail / STEP)):
        game.play(cluster.workers, refusing)


def _back(game: _Game) -> Outcome:
    last = game.now + round(_LONGEST / STEP)
    while game.away and game.now < last:
        game.play(game.cluster.workers)
    return _timed(game)


def _timed(game: _Game) -> Outcome:
    outcome, clients = game.outcome, game.cluster.clients
    # A deploy begins with everybody in, so what counts is when the last time was that fewer were.
    for name, share in (("half", 0.5), ("most", 0.99), ("all", 1.0)):
        below = [at for at, inside in enumerate(outcome.inside) if inside < math.ceil(clients * share)]
        never = bool(below) and below[-1] + 1 == len(outcome.inside)
        setattr(outcome, name, math.inf if never else (below[-1] + 1) * STEP if below else 0.0)
    return outcome
