"""The metrics of a worker, or of all of them, in Prometheus' format, by `prometheus-client` (`hubbub[metrics]`).

One worker that is asked asks the others: so a scrape of any of them sees all, by whichever a balancer sends it to, and
every sample has the label `node`. What a worker has counted ends with it, as its series do. Files that all processes of
a machine write to lost: they outlive a worker that was killed, need a variable set before the first import, and cost
three times as much for each addition.

Nothing of `prometheus-client` is on the way of a message: the hub's own numbers are read when somebody asks.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hubbub.errors import ConfigurationError, Unavailable
from hubbub.hub.hub import Hub, numbers_of
from hubbub.integrations.metric_table import FAMILIES, Family, Said
from hubbub.types import NodeId

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class NotInstalled(ConfigurationError):
    """`prometheus-client` is not there."""

    def __init__(self) -> None:
        super().__init__("metrics need prometheus-client: pip install 'hubbub[metrics]'")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a scrape has of all workers beside what each says. `users` and `rooms`: None where the broker is away."""

    answered: int
    failed: int
    silent: int
    users: int | None
    rooms: int | None

    @property
    def complete(self) -> bool:
        """Whether every worker that lives has said its numbers, and it is known which these are."""
        return self.users is not None and not (self.failed or self.silent)


def register_metrics(hub: Hub, registry: "CollectorRegistry | None" = None) -> None:
    """Have the metrics of this worker in `registry`, by default that of `prometheus_client`, beside the application's.

    For who has a `/metrics` already. Several hubs may share one. While the hub does not run there is nothing of it.
    Raises ConfigurationError where `prometheus-client` is not installed.
    """
    if registry is None:
        registry = _client().REGISTRY
    collector = _collectors.get(registry)
    if collector is None:
        collector = _collectors[registry] = _Collector()
        registry.register(collector)
    collector.hubs.add(hub)


async def exposition(hub: Hub, accept: str, *, alone: bool) -> tuple[bytes, str]:
    """What a scrape gets, and its content type, by what it accepts. `alone`: of this worker and no other.

    Raises NotInstalled, and ConfigurationError where the hub does not run.
    """
    client = _client()
    encode, content_type = client.exposition.choose_encoder(accept)
    node, said = hub.node, numbers_of(hub).take()
    if alone:
        families = list(_families({node: said}))
    else:
        others, cluster = await _ask(hub)
        families = [*_families({**others, node: said}), *_of_cluster(cluster)]
    # What encodes wants a registry, and only ever asks it for this.
    return encode(_Once(families)), content_type


async def _ask(hub: Hub) -> tuple[Mapping[NodeId, Said], Cluster]:
    try:
        answers = await hub.workers.ask("metrics")
    except Unavailable:
        # Who else lives is not known; this one is not to be silent as well.
        return {}, Cluster(1, 0, 0, None, None)
    # This one need not answer itself.
    said = {*answers.said, hub.node}
    failed, silent = {*answers.failed} - {hub.node}, {*answers.silent} - {hub.node}
    try:
        stats = await hub.stats()
    except Unavailable:
        return answers.said, Cluster(len(said), len(failed), len(silent), None, None)
    return answers.said, Cluster(len(said), len(failed), len(silent), stats.users, stats.rooms)


def _families(said: Mapping[NodeId, Said]) -> Iterator["Metric"]:
    """`said`: what each node says."""
    for family in FAMILIES:
        metric = _empty(family)
        for node, numbers in sorted(said.items()):
            for labels, number in family.numbers(numbers):
                if family.kind == "histogram":
                    total, *counts = number
                    metric.add_metric((node, *labels), _buckets(family, counts), sum_value=total)
                else:
                    metric.add_metric((node, *labels), number)
        yield metric
    info = _core().GaugeMetricFamily("hubbub_worker_info", INFO, labels=("node", "pid", "version"))
    for node, numbers in sorted(said.items()):
        info.add_metric((node, str(numbers.get("pid", "")), str(numbers.get("version", ""))), 1)
    yield info


INFO = "1 for each worker that answered: its process, and the release of Hubbub it runs."
#: What a scrape of the whole cluster has besides, without the label `node`.
OF_CLUSTER = {
    "hubbub_workers": "Workers of the cluster: answered, has said its numbers; failed, could not; silent, said nothing "
    "within a second.",
    "hubbub_scrape_complete": "1 where every worker that lives has said its numbers; 0 too while the broker is away, "
    "for then nobody knows.",
    "hubbub_cluster_users": "Users with a connection to any worker, each once.",
    "hubbub_cluster_rooms": "Rooms with a member on any worker, each once.",
}


def _of_cluster(cluster: Cluster) -> Iterator["Metric"]:
    core = _core()
    workers = core.GaugeMetricFamily("hubbub_workers", OF_CLUSTER["hubbub_workers"], labels=("state",))
    for state in ("answered", "failed", "silent"):
        workers.add_metric((state,), getattr(cluster, state))
    yield workers
    of_all = {
        "hubbub_scrape_complete": int(cluster.complete),
        "hubbub_cluster_users": cluster.users,
        "hubbub_cluster_rooms": cluster.rooms,
    }
    for name, number in of_all.items():
        if number is not None:
            yield core.GaugeMetricFamily(name, OF_CLUSTER[name], value=number)


def _empty(family: Family) -> Any:
    core = _core()
    kinds = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    return kinds[family.kind](family.name, family.help, labels=family.labels)


def _buckets(family: Family, counts: Iterable[float]) -> list[tuple[str, float]]:
    """By their upper bounds, each with all that is under it."""
    bounds = [*(_client().utils.floatToGoString(bound) for bound in family.bounds), "+Inf"]
    return list(zip(bounds, accumulate(counts), strict=True))


class _Once:
    """What was collected already."""

    def __init__(self, families: Iterable["Metric"]) -> None:
        self._families = families

    def collect(self) -> Iterable["Metric"]:
        return self._families


class _Collector:
    """The workers of this process, in a registry: for one that is asked in whatever thread."""

    def __init__(self) -> None:
        self.hubs: weakref.WeakSet[Hub] = weakref.WeakSet()

    def describe(self) -> Iterable["Metric"]:
        """Which names these are, without asking for the numbers."""
        return _families({})

    def collect(self) -> Iterable["Metric"]:
        said: dict[NodeId, Said] = {}
        for hub in tuple(self.hubs):
            try:
                said[hub.node] = numbers_of(hub).take()
            except ConfigurationError:
                pass  # it does not run
        return _families(said)


_collectors: weakref.WeakKeyDictionary[Any, _Collector] = weakref.WeakKeyDictionary()


def _client() -> Any:
    """Imported where it is asked for: it takes 50 ms, and most applications start without."""
    try:
        import prometheus_client
    except ImportError:
        raise NotInstalled from None
    return prometheus_client


def _core() -> Any:
    import prometheus_client.core

    return prometheus_client.core
