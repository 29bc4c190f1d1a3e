"""A data directory is one server's at a time, is refused with the reason, and tells how its last server ended."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubbub.brokers import data_directory
from hubbub.brokers.data_directory import AOF_DIRECTORY, HOME, DataDirectory
from hubbub.errors import ConfigurationError


@contextmanager
def opened(path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(path)
    directory.open(within=0)
    try:
        yield directory
    finally:
        directory.close()


def with_history(path: Path) -> Path:
    with opened(path):
        (path / AOF_DIRECTORY / "hubbub.aof.manifest").touch()
    return path


def test_it_is_made_where_it_is_missing_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "a" / "b") as directory:
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in directory.path.iterdir() if file.is_file()} == {0o600}
        assert directory.lock > 2
    with pytest.raises(RuntimeError):
        _ = directory.lock
    directory.close()


def test_one_that_is_there_keeps_its_mode_and_what_is_in_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "appendonlydir").mkdir()
    with opened(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
        assert (tmp_path / "appendonlydir").is_dir()


def test_a_path_is_relative_to_where_the_command_runs_and_may_begin_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    assert DataDirectory("kept").path == tmp_path / "kept"
    assert DataDirectory("~/kept").path == Path("/somewhere/kept")


def test_another_server_is_kept_out_by_who_has_it(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(ConfigurationError, match=f"^{tmp_path} is in use by another server"):
        DataDirectory(tmp_path).open(within=0)
    with opened(tmp_path):
        pass


def test_who_was_killed_is_waited_for(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        later = threading.Timer(0.2, first.close)
        later.start()
        with opened_within(tmp_path, 20.0):
            pass
        later.join()


@contextmanager
def opened_within(path: Path, seconds: float) -> Iterator[None]:
    directory = DataDirectory(path)
    directory.open(within=seconds)
    yield
    directory.close()


def test_a_process_that_inherited_the_lock_holds_it_on(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        heir = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=(directory.lock,), stdin=subprocess.PIPE)
    try:
        with pytest.raises(ConfigurationError, match="in use"):
            DataDirectory(tmp_path).open(within=0)
    finally:
        heir.communicate(b"\n")
    with opened(tmp_path):
        pass


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, said in ((file, f"{file} is not a directory"), (file / "below", f"{file / 'below'}: Not a directory")):
        with pytest.raises(ConfigurationError) as refused:
            DataDirectory(path).open()
        assert str(refused.value) == said


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr("hubbub.brokers.data_directory.os.write", full)
        with pytest.raises(ConfigurationError, match=f"^{tmp_path}: No space left on device$"):
            DataDirectory(tmp_path).open()
    with opened(tmp_path):
        pass
    if os.getuid() != 0:  # root may write anywhere
        tmp_path.chmod(0o500)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            DataDirectory(tmp_path / "below").open()


def test_how_the_last_server_ended_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as directory:
        assert not directory.may_have_lost(), "there is nothing yet"
    with opened(with_history(tmp_path)) as directory:
        assert directory.may_have_lost(), "nobody knows where it comes from"
        directory.ended()
        assert not directory.may_have_lost()
        directory.runs()
    with opened(tmp_path) as directory:
        assert not directory.may_have_lost(), "it was killed, and the kernel had everything"
        monkeypatch.setattr(data_directory, "boot", lambda: "another")
        assert directory.may_have_lost(), "the machine went down"
        directory.runs()
        assert not directory.may_have_lost()


def test_a_state_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    with_history(tmp_path)
    (tmp_path / "hubbub.state").write_bytes(b"\xff\xfe")
    with opened(tmp_path) as directory:
        assert directory.may_have_lost()


def test_a_machine_has_one_name_for_as_long_as_it_runs() -> None:
    assert data_directory.boot() == data_directory.boot()
    if sys.platform == "linux":
        assert len(data_directory.boot()) == 36


def test_what_a_rewrite_left_that_was_killed_is_removed(tmp_path: Path) -> None:
    with_history(tmp_path)
    leftovers = [tmp_path / HOME / "temp-rewriteaof-1.aof", tmp_path / AOF_DIRECTORY / "temp-hubbub.aof.manifest"]
    of_another = tmp_path / "temp-rewriteaof-1.aof"
    for file in (*leftovers, of_another):
        file.touch()
    with opened(tmp_path):
        assert not any(leftover.exists() for leftover in leftovers)
        assert of_another.exists()


def test_a_secret_stays(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        secret = directory.secret()
        assert len(secret) >= 43
    with opened(tmp_path) as directory:
        assert directory.secret() == secret
    with opened(tmp_path / "other") as other:
        assert other.secret() != secret


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with opened(tmp_path):
        begun = time.monotonic()
        with pytest.raises(ConfigurationError):
            DataDirectory(tmp_path).open(within=0.1)
        assert time.monotonic() - begun >= 0.1
