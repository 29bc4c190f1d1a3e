"""What was ever reached is reached again, and half a minute of chance is added: always the same."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz, kept
from tests.fuzz.targets import TARGETS

#: Inputs that each target takes in some five seconds.
RUNS = {"frames": 3_000, "codec": 8_000, "envelope": 30_000, "session": 2_500, "accelerator": 1_500}


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept(target: str) -> None:
    seeds = kept(target)
    assert len(seeds) > 3
    for each in seeds:
        TARGETS[target](each)


@pytest.mark.parametrize("target", TARGETS)
def test_what_chance_adds_led_by_what_it_reaches(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="there is none for this Python")
    fine, what = fuzz(target, [f"-runs={RUNS[target]}", "-seed=1", "-timeout=20"], tmp_path)
    assert fine, what


def test_the_corpus_is_small() -> None:
    assert sum(len(each) for target in TARGETS for each in kept(target)) < 100_000


def test_a_target_that_does_not_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lets other things pass, a parser that finds more."""
    from tests.fuzz import targets

    monkeypatch.setattr(targets, "WAYS", [targets.STRICT, targets.PYTHON])
    monkeypatch.setattr(targets.PYTHON, "plain", lambda text: {"type": "x"})
    with pytest.raises(AssertionError):
        TARGETS["codec"](b'{"type":"a"}')
    monkeypatch.setattr(targets.PYTHON, "typed", lambda text: ("x", {"type": "x"}, None))
    with pytest.raises(AssertionError):
        TARGETS["session"](b'\x05{"type":"a"}')
    monkeypatch.setattr(targets.PYTHON, "texts", lambda data, at, limit, found, *_: found.append("more") or len(data))
    with pytest.raises(AssertionError):
        TARGETS["frames"](b"\x03\x01\x81\x80\0\0\0\0")
