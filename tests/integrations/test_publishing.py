"""What cannot be a key for publishing by HTTP."""

from typing import Any

import pytest

from hubbub import ConfigurationError
from hubbub.integrations.publishing import publishing


@pytest.mark.parametrize("keys", [[""], ["a-key", ""], ["", "a-key"]])
@pytest.mark.parametrize("anyone", [True, False])
def test_an_empty_key_is_refused_at_once(keys: list[str], anyone: bool) -> None:
    with pytest.raises(ConfigurationError, match="must not be empty"):
        publishing(keys=keys, anyone=anyone)


@pytest.mark.parametrize("keys", ["a-key", b"a-key", [b"a-key"], [None]])
def test_a_string_is_not_a_list_of_its_letters(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="list of strings"):
        publishing(keys=keys)


@pytest.mark.parametrize("anyone", ["false", "0", 1, None])
def test_anyone_is_taken_by_its_word_and_not_by_its_truth(anyone: Any) -> None:
    with pytest.raises(ConfigurationError, match="anyone is True or False"):
        publishing(keys=["a-key"], anyone=anyone)


@pytest.mark.parametrize("keys", [[], ["a-key"], ["a-key", "another"]])
def test_no_key_or_several_are_fine(keys: list[str]) -> None:
    assert publishing(keys=keys).routes
