"""A project is made in its editor, gets a chat, and is deleted without it."""

import json

from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import ask, axe_violations, expect_stored


def test_a_chat_begun_in_a_project_has_its_instructions_and_outlives_it(ada, vendor):
    vendor.script = streams("About 900 euros.")
    tab = ada.open("#/projects")
    tab.get_by_role("button", name="New project").click()
    tab.get_by_label("Name").fill("Lisbon")
    tab.get_by_label("Instructions to the model").fill("Give prices in euros.")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Save").click()
    tab.get_by_role("button", name="Open", exact=True).click()
    expect(tab.locator(".filter-bar")).to_have_text("Lisbon")
    ask(tab, "What does a week cost?")
    expect_stored(tab, 1)
    assert "Give prices in euros." in json.dumps(vendor.last_body)
    tab.goto(f"{ada.url}/#/projects")
    tab.get_by_role("button", name="Options for Lisbon").click()
    tab.get_by_role("menuitem", name="Delete").click()
    tab.get_by_role("button", name="Delete, keep the conversations").click()

    expect(tab.get_by_text("No projects yet")).to_be_visible()
    expect(tab.locator(".entry-row")).to_have_count(1)
