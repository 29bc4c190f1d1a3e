"""How long a drain may take, as the environment says it."""

import pytest

from hubbub.errors import ConfigurationError
from hubbub.hub.signals import leaving_from_environment
from hubbub.options import Leaving


@pytest.mark.parametrize(("value", "window"), [(None, 5.0), ("", 5.0), ("0", 0.0), ("7.5", 7.5)])
def test_the_window_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str | None, window: float
) -> None:
    monkeypatch.delenv("HUBBUB_DRAIN", raising=False)
    if value is not None:
        monkeypatch.setenv("HUBBUB_DRAIN", value)
    assert leaving_from_environment() == Leaving(window=window)


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_window_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HUBBUB_DRAIN", value)
    with pytest.raises(ConfigurationError, match="HUBBUB_DRAIN"):
        leaving_from_environment()
