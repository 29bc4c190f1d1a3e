"""`docs/howto/refusals.md`: its shop on a real server, and its own test of it."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx
import pytest

import hubbub
from hubbub.errors import ERROR_CODES, Refused
from tests.docs.pages import blocks, read, rows, sections
from tests.docs.running import its_tests_pass
from tests.kit.client import Tab
from tests.kit.serving import serving

PAGE = "docs/howto/refusals.md"


async def test_its_shop(
    example: Callable[[str, str], ModuleType], token: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    module = example(PAGE, "shop.py")
    async with (
        serving(module.app) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
        Tab(server.ws, token=token("alice")) as alice,
        Tab(server.ws, token=token("mallory")) as mallory,
    ):
        for item, amount, status, told in (
            ("tea", 5, 409, {"code": "sold_out", "message": "there are none left"}),
            ("gold", 2, 402, {"code": "top_up", "message": "100 more are needed", "field": "amount"}),
            ("milk", 1, 404, {"code": "not_found", "message": "there is no milk"}),
            ("tea", 500, 429, {"code": "rate_limited", "message": "not so much at once", "retry_after": 60_000}),
        ):
            error = await alice.request("buy", item=item, amount=amount)
            assert error == {"type": "error", "id": error["id"], **told}
            answer = await http.post(f"/buy/{item}/{amount}")
            assert answer.status_code == status
            assert status == 404 or answer.json()["code"] == told["code"]
        assert (await mallory.request("buy", item="tea", amount=1))["code"] == "forbidden"
        assert (await alice.request("buy", item="tea", amount=3))["result"] == 6
        [shown] = blocks(PAGE, "json")
        await alice.send({"type": "buy", "item": "tea", "amount": 5, "id": 1})
        assert await alice.receive("error", id=1) == json.loads(shown)
    assert not [record for record in caplog.records if record.levelno > logging.INFO or "dispatch" in record.name]


def test_its_test_passes(tmp_path: Path) -> None:
    its_tests_pass(PAGE, {"shop.py", "test_shop.py"}, tmp_path)


def test_the_codes_it_names_are_those_of_the_protocol() -> None:
    told = " ".join(code for _, code in rows(sections(PAGE)["What becomes what"]))
    assert set(re.findall(r"`(\w+)`", told)) - {"Refused"} <= set(ERROR_CODES)


def test_what_is_ready_made_is_exported() -> None:
    [ready] = [line for line in read(PAGE).splitlines() if line.startswith("- Ready-made are")]
    names = re.findall(r"`([A-Z]\w+)`", ready)
    assert len(names) == 7
    assert all(issubclass(getattr(hubbub, name), Refused) for name in names)
