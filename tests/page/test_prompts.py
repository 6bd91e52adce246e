"""A prompt is written, chosen by its name after a slash, and filled in."""

from playwright.sync_api import expect

from tests.page.conftest import axe_violations


def test_a_prompt_is_written_and_put_into_the_composer_by_its_name(ada):
    tab = ada.open("#/prompts")
    tab.get_by_role("button", name="Add prompt").click()
    tab.get_by_label("Name").fill("trip")
    tab.get_by_label("Text").fill("Plan {{nights:number}} nights in {{city}}.")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_text("/trip")).to_be_visible()
    tab.goto(f"{ada.url}/#/")
    message = tab.get_by_label("Your message", exact=True)
    message.fill("/tri")
    tab.get_by_role("option", name="/trip").click()
    tab.get_by_label("nights").fill("2")
    tab.get_by_label("city").fill("Porto")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Insert").click()

    expect(message).to_have_value("Plan 2 nights in Porto.")
