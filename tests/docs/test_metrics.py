"""`docs/howto/metrics.md`: its examples on a real server, its table and its words against the source."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from hubbub.delivery import journeys
from hubbub.integrations.metric_table import FAMILIES
from hubbub.integrations.metrics import OF_CLUSTER
from hubbub.ports.metrics import SECONDS
from tests.docs.metric_rows import PAGE, written
from tests.docs.pages import blocks
from tests.kit.prometheus import ALERTS, promtool
from tests.kit.serving import serving

TEXT = PAGE.read_text()


@pytest.mark.parametrize("file", ["watched.py", "registered.py"])
async def test_its_applications_have_the_metrics(
    example: Callable[[str, str], ModuleType], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[Any] = []
    register = REGISTRY.register  # which belongs to the whole process
    monkeypatch.setattr(REGISTRY, "register", lambda collector: (registered.append(collector), register(collector)))
    module = example("docs/howto/metrics.md", file)
    try:
        async with serving(module.app) as server, httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            text = (await client.get(f"{server.url}/metrics")).text
        assert 'hubbub_ready{node="' in text
        assert ("hubbub_workers" in text) == (file == "watched.py")
    finally:
        for collector in registered:
            REGISTRY.unregister(collector)


def test_its_table_has_all_metrics() -> None:
    assert written(TEXT) == TEXT, "run `python -m tests.docs.metric_rows`"


def test_every_metric_it_speaks_of_is_one() -> None:
    names = {each.name for each in FAMILIES} | {*OF_CLUSTER, "hubbub_worker_info"}
    assert set(re.findall(r"\bhubbub_[a-z_]+", TEXT)) == names
    assert f"and {len(SECONDS) + 3} for each type" in TEXT
    assert f"after {journeys.LOST:.0f} s counts" in TEXT


def test_its_configurations_are_prometheus_own(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("docs/howto/metrics.md", "yaml")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "alerts.yml").write_text(ALERTS.read_text())
        (folder / "prometheus.yml").write_text(text)
        promtool("check", "config", str(folder / "prometheus.yml"))
