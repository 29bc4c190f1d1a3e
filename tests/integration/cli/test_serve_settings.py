"""`hubbub serve`: which settings hold, and what it says of them and of itself."""

from pathlib import Path

from tests.integration.cli.conftest import ask
from tests.kit.running import Served
from tests.kit.waiting import wait_for


def test_log_lines_of_hubbub_reach_the_output_at_the_level_asked_for(here: Path) -> None:
    (here / "chatty.py").write_text(
        "import logging\nfrom app import app\nlogging.getLogger('hubbub.test').debug('a fine point')\n"
    )
    with Served("chatty:app", cwd=here) as server:
        assert "a fine point" not in server.output
    with Served("chatty:app", "--log-level", "DEBUG", cwd=here) as server:
        assert "DEBUG:    a fine point" in server.output


def test_the_access_log_is_on_and_can_be_off(here: Path) -> None:
    with Served("app:app", cwd=here) as server:
        wait_for(lambda: '"GET / HTTP/1.1" 200' in server.output, what="a line for the request")
    with Served("app:app", "--no-access-log", cwd=here) as server:
        ask(server)
        assert server.stop() == 0
        assert "GET /" not in server.output


def test_development_says_what_it_allows_and_makes_a_secret(here: Path) -> None:
    with Served("app:app", "--dev", "--workers", "2", cwd=here) as server:
        said = ask(server)
        assert said["HUBBUB_DEV"] == "1"
        assert len(said["HUBBUB_SECRET"]) >= 32
        assert "Development (--dev)" in server.output
        assert said["HUBBUB_SECRET"] not in server.output
        assert {ask(server)["HUBBUB_SECRET"] for _ in range(10)} == {said["HUBBUB_SECRET"]}
    with Served("app:app", cwd=here) as server:
        said = ask(server)
        assert said["HUBBUB_DEV"] == "0"
        assert "HUBBUB_SECRET" not in said
        assert "Development" not in server.output


def test_flags_win_over_variables_and_variables_over_the_file(here: Path) -> None:
    (here / ".env").write_text(
        "HUBBUB_SECRET=from-file\nHUBBUB_BROKER=redis://:pass@file\nHUBBUB_GRACE=7\nHUBBUB_DEV=1\nOTHER=x\n"
    )
    env = {"HUBBUB_BROKER": "redis://:pass@variable", "HUBBUB_SECRET": "", "HUBBUB_GRACE": "8", "WEB_CONCURRENCY": "4"}
    with Served("app:app", "--grace", "9", "--no-dev", cwd=here, env=env) as server:
        said = ask(server)
        assert said["HUBBUB_GRACE"] == "9"
        assert said["HUBBUB_BROKER"] == "redis://:pass@variable"
        assert said["HUBBUB_SECRET"] == "from-file"
        assert said["HUBBUB_DEV"] == "0"
        assert said["HUBBUB_WORKERS"] == "1"
        assert said["WEB_CONCURRENCY"] == "1"
        assert "(1 worker, redis://variable)" in server.output
        assert "pass" not in server.output
