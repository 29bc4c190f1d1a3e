"""What doctor finds of a broker's server: each is brought about at a real one, and gone when it is mended."""

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hubbub.cli.doctor.broker_rights import lacking
from hubbub.cli.doctor.broker_server import Needs, server
from hubbub.cli.doctor.finding import About, Finding
from hubbub.options import Limits, RoomRate
from tests.kit.valkey import Valkey, free_port, server_binary
from tests.kit.waiting import wait_for

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    made = Valkey(tmp_path_factory.mktemp("valkey"), durable=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def admin(valkey: Valkey) -> Iterator[Callable[..., object]]:
    """Sets what is to be set, and puts it back."""
    before: dict[str, str] = {}

    def config(**changes: str) -> None:
        for given, value in changes.items():
            name = given.replace("_", "-")
            before.setdefault(name, valkey.admin.config_get(name)[name])
            valkey.admin.config_set(name, value)

    yield config
    for name, value in before.items():
        valkey.admin.config_set(name, value)


def found(valkey: Valkey, needs: Needs | None = None, *, user: str = "", port: int | None = None) -> dict[str, Finding]:
    url = f"redis://{user}127.0.0.1:{port or valkey.port}"
    return {each.name: each for each in server(url, Needs() if needs is None else needs)}


def test_one_that_is_as_it_should_be(valkey: Valkey, admin: Callable[..., object]) -> None:
    admin(maxmemory="256mb", appendonly="yes")
    said = found(valkey, Needs(keeps=True))
    assert {each.verdict for each in said.values()} == {"ok"}, said
    assert said.keys() == {each for each in About if each.startswith("broker ")} - {About.BROKER_SETTINGS}


def test_eviction(valkey: Valkey, admin: Callable[..., object]) -> None:
    assert found(valkey)[About.BROKER_EVICTION].verdict == "ok"
    admin(maxmemory_policy="allkeys-lru")
    assert found(valkey)[About.BROKER_EVICTION].verdict == "weak"
    admin(maxmemory="256mb")
    wrong = found(valkey)[About.BROKER_EVICTION]
    assert (wrong.verdict, wrong.do) == ("wrong", "maxmemory-policy noeviction")
    assert (
        wrong.said == "allkeys-lru: when it is full it takes history, positions and who is where away, and tells nobody"
    )
    admin(maxmemory_policy="volatile-ttl")
    assert "takes history and positions away" in found(valkey)[About.BROKER_EVICTION].said
    admin(maxmemory_policy="noeviction")
    assert found(valkey)[About.BROKER_EVICTION].verdict == "ok"


def test_memory(valkey: Valkey, admin: Callable[..., object]) -> None:
    none = found(valkey)[About.BROKER_MEMORY]
    assert (none.verdict, "no maxmemory" in none.said) == ("weak", True)
    used = int(valkey.admin.info("memory")["used_memory"])
    admin(maxmemory=str(used // 2))
    assert found(valkey)[About.BROKER_MEMORY].verdict == "wrong"
    admin(maxmemory=str(used + used // 40))
    assert found(valkey)[About.BROKER_MEMORY].verdict in ("weak", "wrong")
    admin(maxmemory=str(100 * used))
    assert found(valkey)[About.BROKER_MEMORY].verdict == "ok"


def test_persistence_against_history(valkey: Valkey, admin: Callable[..., object]) -> None:
    nothing = {keeps: found(valkey, Needs(keeps=keeps))[About.BROKER_PERSISTENCE] for keeps in (True, None, False)}
    assert {keeps: each.verdict for keeps, each in nothing.items()} == {True: "weak", None: "weak", False: "ok"}
    assert nothing[True].said.startswith("none: what is kept ends with it")
    assert "doctor MODULE:APP" in nothing[None].do
    admin(save="3600 1")
    snapshots = found(valkey, Needs(keeps=True))[About.BROKER_PERSISTENCE]
    assert (snapshots.verdict, snapshots.said[:12]) == ("weak", "RDB (3600 1)")
    assert found(valkey, Needs(keeps=False))[About.BROKER_PERSISTENCE].verdict == "ok"
    admin(appendonly="yes")
    assert found(valkey, Needs(keeps=True))[About.BROKER_PERSISTENCE].verdict == "ok"


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, durable=False)
    in_the_way = tmp_path / "dump.rdb"
    valkey.start()
    in_the_way.mkdir()

    def saved(status: str) -> None:
        valkey.admin.bgsave(schedule=False)
        wait_for(lambda: valkey.admin.info("persistence")["rdb_last_bgsave_status"] == status, what=f"it was {status}")

    try:
        saved("err")
        wrong = found(valkey)[About.BROKER_PERSISTENCE]
        assert (wrong.verdict, wrong.said) == ("wrong", "the last time RDB could not be written")
        in_the_way.rmdir()
        saved("ok")
        assert found(valkey, Needs(keeps=False))[About.BROKER_PERSISTENCE].verdict == "ok"
    finally:
        valkey.stop()


def test_the_output_buffer(valkey: Valkey, admin: Callable[..., object]) -> None:
    """By default 32 MiB: one room at its burst through fifty workers, and not through a hundred."""
    about = About.BROKER_OUTPUT_BUFFER
    assert found(valkey, Needs(workers=50))[about].verdict == "ok"
    many = found(valkey, Needs(workers=100))[about]
    assert many.verdict == "weak"
    admin(client_output_buffer_limit="pubsub 1mb 512kb 60")
    wrong = found(valkey)[about]
    assert wrong.verdict == "wrong"
    assert wrong.do.startswith("client-output-buffer-limit pubsub 32mb ")
    assert (
        found(valkey, Needs(limits=Limits(payload=1024), room_rate=RoomRate(burst_bytes=1024)))[about].verdict
        == "wrong"
    )
    admin(client_output_buffer_limit="pubsub 0 0 0")
    assert found(valkey)[about].said.startswith("no limit for pubsub")
    admin(client_output_buffer_limit="pubsub 32mb 1mb 1")
    assert found(valkey)[about].said.startswith("more than 1 MiB for 1 s")
    admin(client_output_buffer_limit=many.do.partition(" ")[2])
    assert found(valkey, Needs(workers=100))[about].verdict == "ok"


def test_a_user_who_may_not_look(valkey: Valkey) -> None:
    valkey.admin.execute_command(
        "ACL", "SETUSER", "worker", "reset", "on", ">hush", "~*", "&*", "+@all", "-info", "-config"
    )
    said = found(valkey, user="worker:hush@")
    told = said[About.BROKER_SETTINGS]
    assert (told.verdict, told.said) == ("weak", "not all looked at: this user may not INFO and CONFIG GET")
    assert About.BROKER_MEMORY not in said
    assert said[About.BROKER_RIGHTS].verdict == said[About.BROKER_CLOCK].verdict == "ok"
    valkey.admin.execute_command("ACL", "SETUSER", "worker", "+info", "+config|get")
    assert About.BROKER_SETTINGS not in found(valkey, user="worker:hush@")


def test_nothing_stays_of_what_a_user_without_del_tries(valkey: Valkey) -> None:
    valkey.admin.execute_command("ACL", "SETUSER", "keeper", "on", ">hush", "~hubbub:*", "&hubbub:*", "+@all", "-del")
    try:
        wrong = found(valkey, user="keeper:hush@")[About.BROKER_RIGHTS]
        assert wrong.do.startswith("ACL SETUSER …: +del ")
        left = valkey.admin.keys("hubbub:{*:doctor}:*")
        assert all(valkey.admin.pttl(key) != -1 for key in left)
    finally:
        valkey.admin.execute_command("ACL", "DELUSER", "keeper")


@pytest.mark.parametrize(
    ("refusal", "right"),
    [
        ("this user has no permissions to access one of the keys used as arguments", "~hubbub:*"),
        ("this user has no permissions to access one of the channels used as arguments", "&hubbub:*"),
        ("this user has no permissions to run the 'hkeys' command or its subcommand", "+hkeys"),
        ("No permissions to access a key", "~hubbub:*"),
        ("No permissions to access a channel", "&hubbub:*"),
        ("User hub has no permissions to run the 'hkeys' command", "+hkeys"),
    ],
)
def test_which_right_is_missing_is_read_of_old_servers_and_new_ones(refusal: str, right: str) -> None:
    assert lacking(refusal, "HKEYS") == right


def test_a_replica_and_a_cluster(valkey: Valkey, tmp_path: Path) -> None:
    assert found(valkey)[About.BROKER_MODE].verdict == "ok"
    for options, what in (
        ({"cluster-enabled": "yes", "cluster-port": str(free_port())}, "a node of a cluster"),
        ({"replicaof": f"127.0.0.1 {valkey.port}"}, "a replica"),
    ):
        folder = tmp_path / what.replace(" ", "-")
        folder.mkdir()
        other = Valkey(folder, durable=False, options=options)
        other.start()
        try:
            mode = found(other)[About.BROKER_MODE]
        finally:
            other.stop()
        assert (mode.verdict, mode.said[: len(what)]) == ("wrong", what)


@contextmanager
def rewriting(port: int, change: Callable[[bytes], bytes]) -> Iterator[int]:
    """The port of a proxy that changes what the server answers: nobody has an old server, or a wrong clock, at hand."""
    listening = socket.create_server(("127.0.0.1", 0))
    pairs: list[socket.socket] = []

    def carry(source: socket.socket, to: socket.socket, change: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 20):
                to.sendall(change(data))
        for each in (source, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                there = socket.create_connection(("127.0.0.1", port))
                pairs.extend((client, there))
                for one, other, how in ((client, there, lambda data: data), (there, client, change)):
                    threading.Thread(target=carry, args=(one, other, how), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)
        for each in pairs:
            each.close()


def test_a_server_that_is_too_old(valkey: Valkey) -> None:
    def older(data: bytes) -> bytes:
        # As long as before, because the length stands before it.
        data = re.sub(rb"valkey_version:", b"valkey_verxion:", data)
        return re.sub(rb"redis_version:7\.", b"redis_version:5.", data)

    assert found(valkey)[About.BROKER_VERSION].verdict == "ok"
    with rewriting(valkey.port, older) as port:
        wrong = found(valkey, port=port)[About.BROKER_VERSION]
    assert (wrong.verdict, wrong.said) == ("wrong", "Redis 5.2.4 is older than 6.0")


@pytest.mark.parametrize(("off", "verdict"), [(-4, "weak"), (7200, "wrong"), (0, "ok")])
def test_a_clock_that_is_wrong(valkey: Valkey, off: int, verdict: str) -> None:
    def late(data: bytes) -> bytes:
        return re.sub(
            rb"^(\*2\r\n\$10\r\n)(\d{10})\r\n", lambda found: b"%b%d\r\n" % (found[1], int(found[2]) + off), data
        )

    with rewriting(valkey.port, late) as port:
        said = found(valkey, port=port)[About.BROKER_CLOCK]
    assert said.verdict == verdict
    assert ("behind" if off < 0 else "ahead of" if off else "as this machine's") in said.said


def test_a_sentinel_is_told_from_what_it_watches(valkey: Valkey, tmp_path: Path) -> None:
    port, settings = free_port(), tmp_path / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor it 127.0.0.1 {valkey.port} 1\n")
    with subprocess.Popen([server_binary(), settings, "--sentinel"], stdout=subprocess.DEVNULL) as sentinel:
        try:
            wait_for(lambda: _listens(port), what="it listens")
            said = found(valkey, port=port)
        finally:
            sentinel.kill()
    assert said[About.BROKER_MODE].verdict == "wrong"
    assert "a sentinel" in said[About.BROKER_MODE].said
    assert said[About.BROKER_RIGHTS].verdict == "weak"
    assert found(valkey)[About.BROKER_MODE].verdict == "ok"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
