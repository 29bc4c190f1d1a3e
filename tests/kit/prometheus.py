"""A real Prometheus that scrapes a server, and `promtool`: from Debian's package `prometheus`.

    with Prometheus(tmp_path, "127.0.0.1:8000") as prometheus:
        prometheus.query("sum(hubbub_connections)")

Where it is not installed the test is skipped, in CI it fails.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.kit.valkey import free_port
from tests.kit.waiting import wait_for

MONITORING = Path(__file__).parents[2] / "monitoring"
ALERTS, DASHBOARD = MONITORING / "alerts.yml", MONITORING / "grafana.json"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    found = shutil.which(name)
    if found is None:
        missing = f"no {name} on this machine: dashboard and alerts were not tried (install Debian's prometheus)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def promtool(*arguments: str, given: str | None = None) -> str:
    """What it says; fails where it finds anything wrong."""
    run = subprocess.run(
        [program("promtool"), *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, f"{given or ''}\n{run.stdout}{run.stderr}"
    return run.stdout + run.stderr


class Prometheus:
    """Scrapes `target` (`host:port`) once a second, and holds it against the alerts of the repository."""

    def __init__(self, directory: Path, target: str) -> None:
        binary = program("prometheus")
        directory.mkdir(exist_ok=True)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "hubbub", "static_configs": [{"targets": [target]}]}],
        }
        written = directory / "prometheus.yml"
        written.write_text(json.dumps(config))  # which is YAML too
        port = free_port()
        self.log = directory / "prometheus.log"
        command = [
            binary,
            f"--config.file={written}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=30)
        try:
            wait_for(self._is_up, what=f"Prometheus answers: {self.log.read_text()}")
        except BaseException:
            self.close()
            raise

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series it comes to now; fails where it cannot be read."""
        answer = self._client.get("/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """The alerts, as they were read and last evaluated."""
        groups = self._client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def close(self) -> None:
        self._client.close()
        self.process.terminate()
        self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self._client.get("/query", params={"query": "1"}).status_code == 200
        except httpx.TransportError:
            return False
