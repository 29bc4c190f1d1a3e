"""What doctor finds of how an application is started, by our own command and by others: brought about, and mended."""

import os
import sys
from pathlib import Path

import pytest

from hubbub.cli.doctor.examine import Asked, examine
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")


def test_gunicorn_is_read_as_it_reads_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of it stands in its file, and not in its line."""
    monkeypatch.chdir(tmp_path)

    def found(line: str) -> dict[str, str]:
        told = examine(Settings(), Asked(server=line))
        assert Path.cwd() == tmp_path
        return {each.name: each.verdict for each in told}

    def taken(line: str) -> tuple[str, str, bool]:
        by_name = found(line)
        return by_name[About.SERVER], by_name[About.BROKER], About.WORKERS in by_name

    assert taken("gunicorn a:b") == ("wrong", "ok", False)
    assert taken("gunicorn a:b -kuvicorn_worker.UvicornWorker -w3") == ("ok", "wrong", True)
    file = 'import os\nos.environ["LEFT"] = "1"\nworker_class = "uvicorn_worker.UvicornWorker"\nworkers = 3\n'
    (tmp_path / "gunicorn.conf.py").write_text(file)
    assert taken("gunicorn a:b") == ("ok", "wrong", True)
    assert "LEFT" not in os.environ
    assert taken("gunicorn a:b -w 1") == ("ok", "ok", False)
    (tmp_path / "gunicorn.conf.py").rename(tmp_path / "other.py")
    assert taken("gunicorn a:b") == ("wrong", "ok", False)
    assert taken("gunicorn -c other.py a:b") == ("ok", "wrong", True)
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--config other.py --workers 1")
    assert taken("gunicorn a:b") == ("ok", "ok", False)


@pytest.mark.parametrize("there", [True, False])
def test_what_gunicorn_does_not_take_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.chdir(tmp_path)
    if not there:
        monkeypatch.setitem(sys.modules, "gunicorn.app.base", None)
    with pytest.raises(ConfigurationError, match=r"gunicorn does not take it: .*auto"):
        examine(Settings(), Asked(server="gunicorn a:b -w auto"))
    if there:
        (tmp_path / "failing.py").write_text("raise ValueError('cannot reach postgres://me:hush@db/shop')")
        with pytest.raises(ConfigurationError, match="gunicorn does not take it") as wrong:
            examine(Settings(), Asked(server="gunicorn a:b -c failing.py"))
        assert "hush" not in str(wrong.value)


def test_several_workers_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broker(server: str | None = None, **settings: object) -> Finding:
        [found] = [each for each in examine(Settings(**settings), Asked(server=server)) if each.name == About.BROKER]  # type: ignore[arg-type]
        return found

    assert broker("uvicorn a:b").verdict == "ok"
    assert broker("uvicorn a:b --workers 3").verdict == "wrong"
    assert broker("gunicorn a:b -k uvicorn_worker.UvicornWorker -w 3").verdict == "wrong"
    assert broker("fastapi run a.py --workers 3").verdict == "wrong"
    assert broker("fastapi run a.py --workers=3").verdict == "wrong"
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    assert broker("uvicorn a:b").verdict == "wrong"
    assert broker().verdict == "weak"
    assert broker(workers=3).verdict == "ok"


@pytest.mark.parametrize(
    ("command", "name", "mended"),
    [
        ("uvicorn a:b", About.GRACEFUL_TIMEOUT, "uvicorn a:b --timeout-graceful-shutdown 30"),
        ("uvicorn a:b", About.COMPRESSION, "uvicorn a:b --ws-per-message-deflate false"),
        ("uvicorn a:b", About.MESSAGE_SIZE, "uvicorn a:b --ws-max-size 65536"),
        ("uvicorn a:b --ws-max-size 1000", About.MESSAGE_SIZE, "uvicorn a:b --ws-max-size=65536"),
        ("python -m uvicorn a:b", About.KEEP_ALIVE, "/srv/bin/uvicorn a:b --timeout-keep-alive 75"),
        ("uvicorn a:b --ws websockets-sansio", About.SERVER, "uvicorn a:b"),
        ("fastapi run a.py", About.GRACEFUL_TIMEOUT, "uvicorn a:b --timeout-graceful-shutdown 30"),
        ("gunicorn a:b -k asgi", About.SERVER, "gunicorn a:b -k uvicorn_worker.UvicornWorker"),
        ("gunicorn a:b", About.SERVER, "gunicorn a:b --worker-class=uvicorn_worker.UvicornWorker"),
        (
            "gunicorn a:b -k uvicorn_worker.UvicornWorker",
            About.GRACEFUL_TIMEOUT,
            "gunicorn a:b -k doctored_worker.Mended",
        ),
        (
            "gunicorn a:b -k doctored_worker.Mended --graceful-timeout 5",
            About.GRACEFUL_TIMEOUT,
            "gunicorn a:b -k doctored_worker.Mended --graceful-timeout 40",
        ),
        ("gunicorn a:b -k doctored_worker.Mended -w 3", About.WORKERS, "gunicorn a:b -k doctored_worker.Mended"),
        ("gunicorn a:b -kdoctored_worker.Mended -w3", About.WORKERS, "gunicorn a:b -kdoctored_worker.Mended"),
        ("granian --interface asgi a:b", About.SERVER, "uvicorn a:b"),
        ("hypercorn a:b", About.SERVER, "uvicorn a:b"),
        ("daphne a:b", About.SERVER, "uvicorn a:b"),
    ],
)
def test_the_command_of_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: About, mended: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "doctored_worker.py").write_text(
        "from uvicorn_worker import UvicornWorker\n"
        "class Mended(UvicornWorker):\n"
        "    CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, 'timeout_graceful_shutdown': 15,"
        " 'ws_max_size': 65536, 'ws_per_message_deflate': False, 'timeout_keep_alive': 75}\n"
    )

    def verdicts(command: str) -> set[str]:
        return {each.verdict for each in examine(Settings(), Asked(server=command)) if each.name == name} - {"ok"}

    assert verdicts(command) & {"weak", "wrong"}
    assert not verdicts(mended)


def test_variables_of_uvicorn_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "20")
    said = {each.name: each for each in examine(Settings(), Asked(server="uvicorn a:b"))}
    assert said[About.GRACEFUL_TIMEOUT].said == "20 s after the drain"


@pytest.mark.parametrize(
    ("settings", "verdict"), [({}, "ok"), ({"grace": 60}, "weak"), ({"drain": 40}, "weak"), ({"grace": 0}, "weak")]
)
def test_the_end_of_our_own_server(settings: dict[str, int], verdict: str) -> None:
    [said] = [each for each in examine(Settings(**settings)) if each.name == About.GRACEFUL_TIMEOUT]  # type: ignore[arg-type]
    assert said.verdict == verdict


def test_a_command_line_that_is_read_by_nobody_else() -> None:
    with pytest.raises(ConfigurationError, match="prints help"):
        examine(Settings(), Asked(server="uvicorn --help"))
