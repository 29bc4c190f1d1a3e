"""`hubbub size`: what it prints, as a table and as JSON, and what it says of a wrong flag."""

import json
import re

import pytest
from typer.testing import CliRunner

from hubbub.cli.commands import app
from hubbub.errors import ConfigurationError
from hubbub.sizing.costs import Costs
from hubbub.sizing.measured import COMMAND, DATE, MEASURED


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["size", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_table_says_what_and_where_from() -> None:
    said = run("--users", "1000000", "--presence")
    assert re.search(r"^connections +120,000  ", said)
    assert "with 50% left free" in said
    assert "An estimate." in said
    assert DATE in said
    assert COMMAND in said


def test_json_has_what_was_asked_and_what_follows() -> None:
    said = json.loads(run("--users", "50000", "--online", "1", "--tabs", "1", "--json"))
    assert said["asked"]["users"] == said["plan"]["connections"] == 50_000
    assert said["asked"]["headroom"] == 0.5
    assert said["plan"]["price"] == pytest.approx(
        sum(said["plan"][f"price_{what}"] for what in ("machines", "brokers", "egress"))
    )
    assert "storm" not in said
    assert said["measured"]["date"] == DATE


def test_a_storm_and_a_deploy_are_played() -> None:
    said = json.loads(run("--users", "50000", "--simulate", "--json"))
    assert 0 < said["storm"]["all"] < float("inf")
    assert said["deploy"]["moves"] >= said["plan"]["connections"]
    shown = run("--users", "50000", "--simulate")
    assert "a storm, played" in shown
    assert "a deploy, played" in shown


def test_more_than_one_broker_is_said_not_to_be_built() -> None:
    assert "not built yet" in run("--users", "100000000", "--messages", "1000000")


def test_a_gate_wider_than_a_worker_is_said_and_a_storm_may_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs.of(
        {**MEASURED, "handshake_ms": 3.3, "rejoin_ms": 3.5, "refusal_ms": 0.9, "worker_idle_ms_per_s": 6.0}
    )
    monkeypatch.setattr("hubbub.cli.size.measured_costs", lambda: costs)
    size = ["--users", "60000", "--online", "1", "--per-worker", "65536", "--back", "86400", "--speed", "0.02"]
    size += ["--messages", "0", "--stay", "10000000"]
    assert "who was let in waits" in run(*size)
    assert json.loads(run(*size, "--simulate", "--json"))["storm"]["all"] is None


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^--per-worker is a number from 1 to 65,536, not 0$"):
        run("--per-worker", "0")
    with pytest.raises(ConfigurationError, match=r"^--headroom leaves 0\.0005 of a core"):
        run("--speed", "0.01", "--headroom", "0.95")
