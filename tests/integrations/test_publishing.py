"""What cannot be a key for publishing by HTTP."""

import pytest

from hubbub import ConfigurationError
from hubbub.integrations.publishing import publishing


@pytest.mark.parametrize("keys", [[""], ["a-key", ""], ["", "a-key"]])
@pytest.mark.parametrize("anyone", [True, False])
def test_an_empty_key_is_refused_at_once(keys: list[str], anyone: bool) -> None:
    with pytest.raises(ConfigurationError, match="must not be empty"):
        publishing(keys=keys, anyone=anyone)


@pytest.mark.parametrize("keys", [[], ["a-key"], ["a-key", "another"]])
def test_no_key_or_several_are_fine(keys: list[str]) -> None:
    assert publishing(keys=keys).routes
