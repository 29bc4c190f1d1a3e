from pathlib import Path

import pytest

from hubbub.cli.settings import read_settings
from hubbub.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_are_safe() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert (settings.broker, settings.secret, settings.publish_key, settings.dev) == (None, None, None, False)


def test_flag_over_variable_over_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / ".env").write_text("HUBBUB_PORT=1001\nHUBBUB_HOST=file\nHUBBUB_WORKERS=5\n")
    monkeypatch.setenv("HUBBUB_PORT", "1002")
    monkeypatch.setenv("HUBBUB_HOST", "variable")
    settings = read_settings(port="1003", host=None)
    assert (settings.port, settings.host, settings.workers) == (1003, "variable", 5)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", "hush-hush")
    monkeypatch.setenv("HUBBUB_PUBLISH_KEY", "hush-key")
    assert "hush" not in repr(read_settings())


def test_every_mistake_is_named_in_one_line(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / ".env").write_text("HUBBUB_GRACE=soon\n")
    monkeypatch.setenv("HUBBUB_WORKERS", "0")
    with pytest.raises(ConfigurationError) as refused:
        read_settings(port="x", log_level=None)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert all(name in sentence for name in ("--port:", "HUBBUB_WORKERS:", "HUBBUB_GRACE in .env:"))
