"""A conversation is shared by a link, read signed out, and revoked; an answer is rated."""

from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import ask, axe_violations, expect_stored


def share(tab, audience):
    """Share the only conversation, and return the link's address."""
    tab.locator(".entry-row").get_by_role("button").click()
    tab.get_by_role("menuitem", name="Share").click()
    tab.get_by_label("Who may read it").select_option(label=audience)
    tab.get_by_role("button", name="Create link").click()
    address = tab.locator(".secret code").inner_text()
    tab.keyboard.press("Escape")
    return address


def test_a_public_link_is_read_signed_out_and_ends_when_it_is_revoked(ada, vendor, chromium):
    vendor.script = streams("**Lisbon** is the capital.")
    tab = ada.open()
    ask(tab, "What is the capital of Portugal?")
    expect_stored(tab, 1)
    address = share(tab, "Anyone who has the link")
    reader = chromium.new_context()
    other = reader.new_page()
    other.goto(address)

    expect(other.locator(".bubble", has_text="What is the capital of Portugal?")).to_be_visible()
    expect(other.locator("strong", has_text="Lisbon")).to_be_visible()
    assert axe_violations(other) == []

    tab.goto(f"{ada.url}/#/settings/links")
    tab.get_by_role("button", name="Revoke").click()
    expect(tab.get_by_text("You have shared no conversation.")).to_be_visible()
    other.reload()
    expect(other.get_by_role("heading", name="This link leads to nothing")).to_be_visible()
    reader.close()


def test_a_rating_stays_with_its_answer(ada, vendor):
    vendor.script = streams("Lisbon.")
    tab = ada.open()
    ask(tab, "What is the capital of Portugal?")
    expect_stored(tab, 1)
    tab.get_by_role("button", name="Bad answer").click()
    tab.get_by_label("What was wrong?").last.fill("Too short.")
    tab.get_by_role("button", name="Send feedback").click()
    expect(tab.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    tab.reload()

    expect(tab.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
