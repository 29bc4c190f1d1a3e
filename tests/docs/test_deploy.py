"""What `docs/howto/deploy.md` says of health and the broker's user.

Flags are checked in `test_settings.py`, signals where the command is.
"""

import json
import re
from collections.abc import Callable
from types import ModuleType

import httpx
from redis import Redis
from typer.main import get_command

from hubbub import Hub
from hubbub.cli.commands import app
from hubbub.cli.doctor.broker_rights import COMMANDS
from hubbub.cli.doctor.examine import examine
from hubbub.cli.doctor.finding import About, Finding
from hubbub.cli.settings import Settings
from hubbub.client.publisher import AsyncPublisher, Publisher
from hubbub.integrations.operations import operations
from hubbub.options import History
from tests.docs.pages import read
from tests.kit.client import Tab
from tests.kit.rights import RIGHTS, as_documented
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until

PAGE = "docs/howto/deploy.md"


async def test_health(example: Callable[[str, str], ModuleType]) -> None:
    module = example(PAGE, "health.py")
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for path in ("/health/live", "/health/ready", "/stats"):
            assert (await http.get(path)).status_code == 200
        assert set((await http.get("/stats")).json()) == {"connections", "users", "rooms", "workers"}


def test_the_stop_of_the_unit_is_longer_than_the_grace() -> None:
    text = read(PAGE)
    grace = Settings.model_fields["grace"].default
    assert f"`--grace`, {grace} s" in text
    stop = next(int(line.partition("=")[2]) for line in text.splitlines() if line.startswith("TimeoutStopSec="))
    assert stop > grace + 5  # what the command itself gives a worker beyond the grace


def test_the_unit_and_the_container_keep_their_data_where_they_may_write() -> None:
    unit, image = (match[1] for match in re.finditer(r"```(?:ini|dockerfile)\n(.*?)```", read(PAGE), re.DOTALL))
    assert (state := re.search(r"^StateDirectory=(\S+)$", unit, re.MULTILINE))
    assert (command := re.search(r"^ExecStart=\S+/hubbub (.*)$", unit, re.MULTILINE))
    assert settings_of(command[1].split())["data"] == f"/var/lib/{state[1]}"
    said = dict(line.split(" ", 1) for line in image.splitlines() if " " in line)
    assert said["ENV"] == f"HUBBUB_DATA={said['VOLUME']}"
    program, *arguments = json.loads(said["CMD"])
    assert program == "hubbub"
    assert settings_of(arguments)["host"] == "0.0.0.0"


def settings_of(arguments: list[str]) -> dict[str, object]:
    """As the command reads them."""
    name, *rest = arguments
    serve = get_command(app).commands[name]  # type: ignore[attr-defined]
    return dict(serve.make_context(name, rest).params)


async def test_the_rights_of_the_brokers_user_are_enough(valkey: str) -> None:
    """Rooms, presence, history, a user's messages, both publishers, statistics, health, and the end."""
    with Redis.from_url(valkey) as admin:
        url = as_documented(admin, valkey)
        hubs = [Hub(url, auth=Names(), inbox=History(size=10, ttl=60)) for _ in range(2)]
        apps = [simple(hub) for hub in hubs]
        for hub, app in zip(hubs, apps, strict=True):
            app.include_router(operations())

            @hub.rooms("kept:{name}", presence=True, history=History(size=10, ttl=60))
            async def kept(name: str) -> bool:
                return True

        admin.acl_log_reset()
        async with serving(apps[0]) as here, serving(apps[1]) as there, httpx.AsyncClient(trust_env=False) as http:
            await until(lambda: all(hub.ready for hub in hubs), "both are ready")
            async with Tab(here.ws, token="ann") as ann, Tab(there.ws, token="bob") as bob:
                await ann.join("kept:a")
                assert (await bob.join("kept:a"))["members"] == ["ann", "bob"]
                await hubs[0].room("kept:a").send({"type": "said"}, idempotency_key="1")
                async with AsyncPublisher(url) as publisher:
                    await publisher.room("kept:a").send({"type": "said"})
                with Publisher(url) as publisher:
                    publisher.user("bob").send({"type": "said"})
                    publisher.broadcast({"type": "said"})
                await until(lambda: len(bob.received("said")) == 4, "all of it is heard")
                assert len((await hubs[1].room("kept:a").history()).messages) == 2
                assert (await http.get(f"{there.url}/health/ready")).json()["status"] == "ready"
                stats = (await http.get(f"{here.url}/stats")).json()
                assert (stats["users"], len(stats["workers"])) == (2, 2)
        refused = [entry["object"] for entry in admin.acl_log() if entry["context"] != "auth"]
        assert {*refused} <= {"client|setinfo"}  # with which redis-py introduces itself, where it may


def test_doctor_names_whatever_right_is_missing(valkey: str) -> None:
    """Carried is what is carried without PING, whose refusal is an answer too, and the end of a subscription."""
    commands = [right[1:] for right in RIGHTS if right.startswith("+") and right not in ("+ping", "+unsubscribe")]
    assert {words[0].lower() for words in COMMANDS} == {*commands, "ping"} - {"subscribe"}
    with Redis.from_url(valkey) as admin:
        assert _found(as_documented(admin, valkey))[About.BROKER_RIGHTS].verdict == "ok"
        without = _found(as_documented(admin, valkey, "-ping", "-unsubscribe"))
        assert without[About.BROKER].verdict == "ok"
        assert "+ping " in without[About.BROKER_RIGHTS].do
        for command in commands:
            found = _found(as_documented(admin, valkey, f"-{command}"))
            assert found[About.BROKER].verdict == "wrong"
            assert f"'{command}'" in found[About.BROKER].said
            assert found[About.BROKER_RIGHTS].do.startswith(f"ACL SETUSER …: +{command} (")
        for rules, what, right in (("resetkeys", "a key", "~"), ("resetchannels", "a channel", "&")):
            found = _found(as_documented(admin, valkey, rules))
            assert f"No permissions to access {what}" in found[About.BROKER].said
            assert found[About.BROKER_RIGHTS].do.startswith(f"ACL SETUSER …: {right}hubbub:* (")
        several = _found(as_documented(admin, valkey, "-hset", "-xadd", "-publish", "resetkeys"))
        assert "…: ~hubbub:* +hset +publish +xadd (" in several[About.BROKER_RIGHTS].do


def _found(url: str) -> dict[About, Finding]:
    """What doctor says of the broker."""
    return {found.name: found for found in examine(Settings(broker=url))}
