"""An assistant is written in the editor, chosen for a new chat, and asked one of its opening questions."""

from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import axe_violations, expect_stored


def test_an_assistant_is_added_chosen_and_left(ada, vendor):
    vendor.script = streams("In March.")
    tab = ada.open("#/assistants")
    tab.get_by_role("button", name="Add assistant").click()
    tab.get_by_label("Name").fill("Contract reader")
    tab.get_by_label("Instructions").fill("Answer from the contract only.")
    tab.get_by_label("Opening questions").fill("When does it end?")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Save").click()
    tab.get_by_role("button", name="Chat", exact=True).click()
    expect(tab.get_by_role("heading", name="Contract reader")).to_be_visible()
    tab.get_by_role("button", name="When does it end?").click()
    expect_stored(tab, 1)

    expect(tab.locator(".assistant-chip", has_text="Contract reader")).to_be_visible()
    tab.get_by_role("button", name="Continue without the assistant").click()
    expect(tab.locator(".assistant-chip")).to_have_count(0)
