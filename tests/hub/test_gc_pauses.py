"""The collector's pauses are told of while a hub runs, and it is left alone afterwards."""

import gc

from hubbub import Hub
from hubbub.hub.gc_pauses import GCPauses
from hubbub.ports.metrics import Observed, Tally


def observed(metrics: object) -> int:
    assert isinstance(metrics, Tally)
    return sum(metrics.histograms[Observed.GC_PAUSE].counts)


async def test_each_pause_while_it_runs() -> None:
    before, hub = len(gc.callbacks), Hub("memory")
    async with hub.running():
        counted = observed(hub.metrics)
        gc.collect()
        gc.collect(1)
        assert observed(hub.metrics) >= counted + 2
        gc.disable()
        try:
            with_all = observed(hub.metrics)
            gc.collect(0)
            assert observed(hub.metrics) == with_all
        finally:
            gc.enable()
    assert len(gc.callbacks) == before
    counted = observed(hub.metrics)
    gc.collect()
    assert observed(hub.metrics) == counted


def test_one_that_began_before_it_was_asked_for_is_none() -> None:
    pauses = GCPauses(metrics := Tally())
    pauses.start()
    for callback in gc.callbacks:
        if getattr(callback, "__self__", None) is pauses:
            callback("stop", {"generation": 2})
    pauses.stop()
    pauses.stop()
    assert observed(metrics) == 0
