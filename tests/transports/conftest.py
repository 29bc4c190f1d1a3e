"""Everything here that runs a loop runs on asyncio's and on uvloop's."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from hubbub import Limits
from tests.kit.certificates import make_certificate
from tests.kit.loop import backend
from tests.kit.raw_peers import Both, both, hub_of
from tests.transports.driven import Ends, ends_of


@pytest.fixture(scope="session", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return backend(uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself: where it is and where its key is."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a client needs to believe it."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with ends_of() as here:
        yield here


@pytest.fixture
async def server() -> AsyncIterator[Both]:
    async with both(hub_of(limits=Limits(closing=1.0))) as here:
        yield here


@pytest.fixture
def no_traceback(caplog: pytest.LogCaptureFixture) -> object:
    """Whatever a client does, the server has nothing to complain about."""
    caplog.set_level(logging.WARNING)
    yield
    records = caplog.get_records("call")
    bad = [record.getMessage() for record in records if record.levelno >= logging.ERROR or record.exc_info]
    assert not bad
