"""What stands on a command line is read by everybody on the machine, so no secret may stand there."""

import pytest

from hubbub import ConfigurationError
from hubbub.cli.publish import publish
from hubbub.cli.settings import Settings, read_settings
from tests.integration.cli.conftest import Command


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hush@localhost",
        "rediss://me:hush@localhost:1/2",
        "unix://:hush@/run/valkey.sock",
        "unix:///run/valkey.sock?db=1&PASSWORD=hush",
        "redis://localhost?password=hush",
        "rediss://localhost/0?db=1&ssl_password=hush",
        "redis://me:hush/with/@host",
        "http://me:hush@host:port",
    ],
)
def test_a_broker_with_a_password_is_for_the_variable(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="by everybody on this machine: set HUBBUB_BROKER") as refused:
        read_settings(broker=url)
    assert "hush" not in str(refused.value)
    monkeypatch.setenv("HUBBUB_BROKER", url)
    assert read_settings().broker == url


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://me@localhost:6379/0", "redis://[::1]:1/?client_name=a@b", "memory"]
)
def test_one_without_has_its_flag(url: str) -> None:
    assert read_settings(broker=url).broker == url


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (("serve", "--broker", "redis://:hush@localhost"), "HUBBUB_BROKER"),
        (("publish", "tea", "{}", "--key", "hush"), "HUBBUB_PUBLISH_KEY"),
        (("bench", "--token", "hush"), "HUBBUB_TOKEN"),
    ],
)
def test_the_commands_say_so(hubbub: Command, arguments: tuple[str, ...], variable: str) -> None:
    made = hubbub(*arguments)
    assert (made.returncode, made.stdout) == (2, "")
    assert f"could be read by everybody on this machine: set {variable} instead" in made.stderr
    assert "hush" not in made.stderr


@pytest.mark.parametrize("url", ["http://me:hush@127.0.0.1:1", "http://me:hush@host:port", "ftp://me:hush@host"])
def test_a_password_in_the_address_of_a_server_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url is the server's address") as refused:
        publish("tea", '{"type": "n"}', Settings(), url=url)
    assert "hush" not in str(refused.value)
