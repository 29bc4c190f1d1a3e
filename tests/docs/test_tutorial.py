"""The tutorial, step by step, in a browser."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.docs.conftest import SECRET
from tests.docs.pages import examples
from tests.integration.browser.conftest import SOON, Tabs, browser, tabs
from tests.kit.running import Served

__all__ = ["browser", "tabs"]  # fixtures


def test_the_tutorials_application_is_the_readmes_and_a_page() -> None:
    readme, tutorial = (examples(page)["main.py"] for page in ("README.md", "docs/tutorial/first-room.md"))

    def code(source: str) -> list[str]:
        return [stripped for line in source.splitlines() if (stripped := line.partition("#")[0].rstrip())]

    missing = [line for line in code(readme) if line not in code(tutorial)]
    assert missing == []
    assert len(code(tutorial)) - len(code(readme)) == 4


def line(page: Page, text: str) -> None:
    expect(page.get_by_role("listitem").filter(has_text=text)).to_have_count(1, timeout=SOON)


@pytest.mark.browser
def test_the_tutorial_as_it_is_told(tabs: Tabs, token: Callable[[str], str], tmp_path: Path) -> None:
    for title, code in examples("docs/tutorial/first-room.md").items():
        (tmp_path / title).write_text(code)
    assert {path.name for path in tmp_path.iterdir()} == {"main.py", "room.html"}
    with Served("main:app", "--workers", "2", env={"HUBBUB_SECRET": SECRET}, cwd=tmp_path) as server:

        def enter(user: str) -> Page:
            page = tabs.open()
            page.goto(f"{server.url}/#{token(user)}")
            line(page, f"you are {user}, on worker")
            line(page, "here: ")
            return page

        alice, bob = enter("alice"), enter("bob")
        line(alice, "bob came")
        bob.locator("#text").fill("hello")
        bob.locator("#text").press("Enter")
        for page in (alice, bob):
            line(page, "bob: hello")
        bobs_other = enter("bob")
        bobs_other.close()
        assert httpx.post(f"{server.url}/orders/42/ship", trust_env=False).status_code == 200
        line(alice, "order 42 is on its way")
        assert alice.get_by_role("listitem").filter(has_text="bob left").count() == 0
        bob.close()
        line(alice, "bob left")
        html = (tmp_path / "room.html").read_text()
        for room, answer in (("team:8", "you may not join this room"), ("club", "there is no such room")):
            (tmp_path / "room.html").write_text(html.replace("team:7", room))
            alice.reload()
            line(alice, f"error: {answer}")
        alice.close()
