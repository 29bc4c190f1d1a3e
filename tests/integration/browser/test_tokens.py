"""A chat of tokens, as `docs/howto/long-work.md` shows it: streamed, stopped by a button, ended with its reader."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from hubbub import JWTAuth
from tests.docs.pages import examples
from tests.integration.browser.conftest import Tabs
from tests.kit.running import Served
from tests.kit.waiting import wait_for

pytestmark = pytest.mark.browser

PAGE = "docs/howto/long-work.md"
SECRET = "a secret for the chat of tokens, long enough"

#: The page's application, which says how many answers are under way, and has said.
WATCHED = """
from collections.abc import AsyncIterator
import tokens

app, model = tokens.app, tokens.model
begun = ended = 0

async def counted(question: str) -> AsyncIterator[str]:
    global begun, ended
    begun += 1
    try:
        async for text in model(question):
            yield text
    finally:
        ended += 1

tokens.model = counted

@app.get("/answers")
def answers() -> dict[str, int]:
    return {"begun": begun, "ended": ended}
"""

#: What came, and what was clicked, in the page's own time.
RECORDING = """
window.events = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => events.push({ at: performance.now(), ...JSON.parse(data) }));
  }
};
addEventListener("click", ({ target }) => events.push({ at: performance.now(), type: "click", id: target.id }), true);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tokens")
    for title in ("tokens.py", "tokens.html"):
        (folder / title).write_text(examples(PAGE)[title])
    (folder / "watched.py").write_text(WATCHED)
    with Served("watched:app", cwd=folder, env={"HUBBUB_SECRET": SECRET}) as served:
        yield served


@pytest.fixture
def chat(server: Served, tabs: Tabs) -> Callable[[], Page]:
    def open_page() -> Page:
        page = tabs.open()
        page.add_init_script(RECORDING)
        page.goto(f"{server.url}/?token={JWTAuth(SECRET).sign('ann')}")
        expect(page.locator("#state")).to_have_text("connected")
        return page

    return open_page


def events(page: Page, type: str) -> list[dict[str, Any]]:
    return [each for each in page.evaluate("() => events") if each["type"] == type]


def answers(server: Served) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(f"{server.url}/answers", trust_env=False).json()
    return counts


def test_the_stop_button_ends_it(chat: Callable[[], Page], server: Served) -> None:
    page = chat()
    page.locator("#ask").click()
    expect(page.locator("#answer")).to_contain_text("token5 ")
    page.locator("#stop").click()
    expect(page.locator("#state")).to_have_text("stopped")
    wait_for(lambda: len(set(answers(server).values())) == 1, what="the model's stream is closed")
    # Another answer: what was to come of the first would have come before it.
    page.locator("#ask").click()
    expect(page.locator("#state")).to_have_text("40 pieces")

    [click] = [each for each in events(page, "click") if each["id"] == "stop"]
    acknowledged = {each["id"]: each for each in reversed(events(page, "ack"))}
    assert acknowledged["stop"]["result"] is True
    assert "result" not in acknowledged["ask"]
    texts = [each["text"] for each in events(page, "piece")]
    stopped = len(texts) - 40
    assert texts == [f"token{number} " for number in [*range(1, stopped + 1), *range(1, 41)]]
    assert 5 <= stopped < 40
    first = events(page, "piece")[:stopped]
    assert first[-1]["at"] <= acknowledged["stop"]["at"]
    took = [each["at"] - click["at"] for each in (first[-1], acknowledged["stop"])]
    # Measured for who wants to know it, and runs this with -rP.
    print("the last piece {:.1f} ms after the click, the acknowledgement {:.1f} ms".format(*took))  # noqa: T201


def test_the_work_for_a_client_that_leaves_is_ended(chat: Callable[[], Page], server: Served) -> None:
    page = chat()
    before = answers(server)
    page.locator("#ask").click()
    expect(page.locator("#answer")).to_contain_text("token2 ")
    assert answers(server) == {"begun": before["begun"] + 1, "ended": before["ended"]}
    page.close()
    wait_for(lambda: answers(server)["ended"] == before["ended"] + 1, what="the model's stream is closed")
