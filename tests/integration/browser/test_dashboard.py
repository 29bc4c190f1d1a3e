import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.integration.browser.conftest import Tabs, online, onto_different_workers, until
from tests.kit.running import Served

pytestmark = pytest.mark.browser

PICTURE = "document.querySelector('#cpu canvas').toDataURL()"


def seq(page: Page) -> int:
    return int(page.get_by_test_id("seq").inner_text())


def listen(page: Page) -> dict[int, object]:
    """What the page is told, by its number."""
    samples: dict[int, object] = {}

    def take(frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "metrics":
            samples[message["seq"]] = message

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", take)

    page.on("websocket", opened)
    return samples


def test_the_chart_moves_and_the_numbers_go_on(showcase: Served, tabs: Tabs) -> None:
    page = tabs.open()
    page.goto(f"{showcase.url}/dashboard")
    online(page)
    expect(page.get_by_test_id("worker")).to_have_count(3)
    first, picture = seq(page), page.evaluate(PICTURE)
    expect(page.get_by_test_id("seq")).not_to_have_text(str(first))
    second = seq(page)
    assert second > first
    until(page, lambda: page.evaluate(PICTURE) != picture, what="another picture")
    for chart in ("cpu", "memory", "connections"):
        expect(page.get_by_test_id(f"chart-{chart}").locator("canvas")).to_be_visible()
    expect(page.get_by_test_id("at")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


def test_tabs_on_three_workers_get_the_same_numbers(showcase: Served, tabs: Tabs) -> None:
    pages = [tabs.open() for _ in range(3)]
    told = [listen(page) for page in pages]
    for page in pages:
        page.goto(f"{showcase.url}/dashboard")
    onto_different_workers(*pages)
    for samples in told:
        samples.clear()
    start = seq_after(pages)
    wanted = {start + 1, start + 2}
    until(pages[0], lambda: all(wanted <= samples.keys() for samples in told), what=f"{wanted} on every tab")
    for number in (start + 1, start + 2):
        samples = [samples[number] for samples in told]
        assert samples[0] == samples[1] == samples[2]


def seq_after(pages: list[Page]) -> int:
    for page in pages:
        expect(page.get_by_test_id("seq")).to_have_text(re.compile(r"^\d+$"))
    return max(seq(page) for page in pages)


SAMPLES = """
async ([messages, nodes]) => {
  const { Samples } = await import("/static/samples.js");
  const samples = new Samples();
  const changes = messages.map((message) => samples.add(message));
  const columns = samples.columns(({ cpu }) => cpu);
  return { changes, nodes: samples.nodes, colours: [...samples.colours.values()], columns };
}
"""


@pytest.fixture
def collect(showcase: Served, tabs: Tabs) -> Callable[[list[dict[str, object]]], dict[str, list[object]]]:
    page = tabs.open()
    page.goto(f"{showcase.url}/")
    return lambda messages: page.evaluate(SAMPLES, [messages, []])


def sample(at: int, **cpu: float) -> dict[str, object]:
    return {"seq": at, "at": at * 1000, "workers": [{"node": node, "cpu": value} for node, value in cpu.items()]}


def test_silence_is_a_gap_and_not_a_straight_line(collect: Callable[..., dict[str, list[object]]]) -> None:
    seen = collect([sample(2, a=1.0), sample(4, a=2.0), sample(20, a=3.0)])
    assert seen["columns"] == [[2, 4, 6, 20], [1, 2, None, 3]]


def test_an_older_sample_changes_nothing(collect: Callable[..., dict[str, list[object]]]) -> None:
    assert collect([sample(4, a=1.0), sample(4, a=9.0), sample(2, a=9.0)])["columns"] == [[4], [1]]


def test_a_worker_that_comes_back_has_its_colour_and_all_differ(
    collect: Callable[..., dict[str, list[object]]],
) -> None:
    cpu = {f"n{number}": 1.0 for number in range(8)}
    without = {node: value for node, value in cpu.items() if node != "n3"}
    seen = collect([sample(2, **cpu), sample(4, **without), sample(6, **cpu)])
    assert seen["changes"] == [True, False, False]
    assert len(set(map(str, seen["colours"]))) == 8
    assert seen["columns"][1 + seen["nodes"].index("n3")] == [1, None, 1]
