import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.integration.browser.conftest import onto_different_workers
from tests.kit.running import Served

pytestmark = pytest.mark.browser


def test_a_notification_pops_up_in_two_tabs_of_its_user_and_in_nobody_elses(
    showcase: Served, enter: Callable[..., Page]
) -> None:
    alice, bob = (f"{name}-{uuid.uuid4().hex[:6]}" for name in ("alice", "bob"))
    one, other = (enter(f"{showcase.url}/notifications", alice) for _ in range(2))
    his = enter(f"{showcase.url}/notifications", bob)
    onto_different_workers(one, other)

    one.get_by_test_id("certificate-id").fill("4711")
    one.get_by_test_id("process-button").click()
    for page in (one, other):
        expect(page.get_by_test_id("toast")).to_have_count(1)
        expect(page.get_by_test_id("toast")).to_contain_text("Certificate 4711 is processed")
    expect(one.get_by_test_id("answer")).to_contain_text("HTTP answered for certificate 4711")

    # His own notice comes after hers was sent, and it is the only one he has.
    his.get_by_test_id("certificate-id").fill("4712")
    his.get_by_test_id("process-button").click()
    expect(his.get_by_test_id("toast").filter(has_text="4712")).to_be_visible()
    expect(his.get_by_test_id("notice")).to_have_count(1)
    expect(his.locator('[data-id="4711"]')).to_have_count(0)


def test_a_toast_can_be_dismissed_and_stays_in_the_list(showcase: Served, enter: Callable[..., Page]) -> None:
    page = enter(f"{showcase.url}/notifications", f"carol-{uuid.uuid4().hex[:6]}")
    for _ in range(2):
        page.get_by_test_id("process-button").click()
        expect(page.get_by_test_id("answer")).to_contain_text("HTTP answered")
    expect(page.get_by_test_id("toast")).to_have_count(2)
    page.get_by_test_id("toast").first.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_test_id("toast")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("toast")).to_have_count(0)
    expect(page.get_by_test_id("notice")).to_have_count(2)
