import asyncio
import time
from pathlib import Path

import pytest

from hubbub.auth.jwt import JWTAuth
from hubbub.cli.token import duration
from hubbub.errors import ConfigurationError, ExpiredCredential, InvalidCredential
from hubbub.ports.auth import Carrier, Credential
from hubbub.types import User
from tests.integration.cli.conftest import Command
from tests.kit.waiting import wait_for

SECRET = "0123456789abcdef0123456789abcdef"


def who(token: str, **options: str) -> User:
    credential = Credential(Carrier.QUERY, token)
    return asyncio.run(JWTAuth(SECRET, **options).authenticate(credential))


def expired(token: str) -> bool:
    try:
        assert who(token, audience="shop").id == "bob"
    except ExpiredCredential:
        return True
    return False


def test_the_token_alone_is_printed_and_proves_the_user(hubbub: Command) -> None:
    made = hubbub("token", "alice", env={"HUBBUB_SECRET": SECRET})
    assert (made.returncode, made.stderr) == (0, "")
    user = who(made.stdout.rstrip("\n"))
    assert user.id == "alice"
    assert user.expires == pytest.approx(time.time() + 86400, abs=60)


def test_time_and_audience(hubbub: Command) -> None:
    def token(expires: str) -> str:
        made = hubbub("token", "bob", "--expires", expires, "--audience", "shop", env={"HUBBUB_SECRET": SECRET})
        return made.stdout.strip()

    with pytest.raises(InvalidCredential):
        who(token("1h"))
    assert not expired(token("1h"))
    short = token("1s")
    wait_for(lambda: expired(short), what="the end of a token for one second")


def test_the_secret_may_stand_in_the_file(hubbub: Command, here: Path) -> None:
    (here / ".env").write_text(f"HUBBUB_SECRET={SECRET}\n")
    assert who(hubbub("token", "carol").stdout.strip()).id == "carol"


@pytest.mark.parametrize(
    ("args", "secret", "said"),
    [
        (["alice"], None, "HUBBUB_SECRET"),
        (["alice"], "short", "too short"),
        (["alice", "--expires", "soon"], SECRET, "--expires"),
        (["alice", "--expires", "0"], SECRET, "--expires"),
        (["a\nb"], SECRET, "user"),
        ([""], SECRET, "user"),
    ],
)
def test_refused_in_one_line(hubbub: Command, args: list[str], secret: str | None, said: str) -> None:
    refused = hubbub("token", *args, env={"HUBBUB_SECRET": secret})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_durations() -> None:
    assert [duration(text) for text in ("7", "45s", "30m", "12h", "1d")] == [7, 45, 1800, 43200, 86400]
    for text in ("", "d", "-1s", "1.5h", "1w", "1 d", "\u0663s"):
        with pytest.raises(ConfigurationError):
            duration(text)
