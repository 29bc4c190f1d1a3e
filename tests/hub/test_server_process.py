import signal
from types import SimpleNamespace

import pytest

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
