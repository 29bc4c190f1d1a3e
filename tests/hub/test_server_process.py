import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hubbub import Hub
from hubbub.hub.client_address import parse_proxies
from hubbub.hub.server_process import ServerProcess


def test_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HUBBUB_WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)
    assert ServerProcess().workers == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "nonsense")
    assert ServerProcess().workers == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    assert ServerProcess().workers == 2
    monkeypatch.setenv("HUBBUB_WORKERS", "3")
    assert ServerProcess().workers == 3

    class Server:
        config = SimpleNamespace(workers=4)

        def handle_exit(self, number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, Server().handle_exit)
    try:
        assert ServerProcess().workers == 4
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("data", "shared", "told"), [("kept", False, 1), ("kept", True, 0), ("", False, 0)])
def test_data_that_memory_does_not_keep_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, data: str, shared: bool, told: int
) -> None:
    monkeypatch.setenv("HUBBUB_DATA", data)
    ServerProcess().tell_of_data(shared=shared)
    assert [record.getMessage().startswith("HUBBUB_DATA is set, but") for record in caplog.records] == [True] * told


@pytest.mark.parametrize(
    ("broker", "why"),
    [(None, "that variable is for hubbub serve"), ("unix:///run/valkey", "the application names it in Hub(…)")],
)
async def test_a_hub_on_memory_tells_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broker: str | None, why: str
) -> None:
    monkeypatch.setenv("HUBBUB_DATA", "kept")
    if broker is not None:
        monkeypatch.setenv("HUBBUB_BROKER", broker)
    async with Hub("memory").running():
        assert f"HUBBUB_DATA is set, but the broker is memory, and keeps nothing beyond this process: {why}" in (
            caplog.text
        )


@pytest.mark.parametrize(
    ("config", "believes_all", "unix_only"),
    [
        ({"forwarded_allow_ips": "*", "proxy_headers": True, "uds": None}, True, False),
        ({"forwarded_allow_ips": ["*"], "proxy_headers": True, "uds": "/run/x"}, True, True),
        ({"forwarded_allow_ips": "*", "proxy_headers": False, "uds": None}, False, False),
        ({"forwarded_allow_ips": "127.0.0.1", "proxy_headers": True, "uds": None}, False, False),
    ],
)
def test_whom_the_server_believes(config: dict[str, object], believes_all: bool, unix_only: bool) -> None:
    class Server:
        def __init__(self) -> None:
            self.config = SimpleNamespace(**config)

        def handle_exit(self, number: int, frame: object) -> None: ...

    named = parse_proxies(["10.0.0.7"])
    believed = ServerProcess([Server().handle_exit]).believed(named)
    assert believed == replace(named, believes_all=believes_all, unix_only=unix_only)
    assert ServerProcess([]).believed(named) == named
