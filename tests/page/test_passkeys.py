"""Passkeys in the page, with Chromium's virtual authenticator."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import axe_violations
from tests.support.api_gateway import PASSWORD

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def visitor(visitor):
    """Somebody at the page's other address: no passkey belongs to an address without a name."""
    visitor.url = visitor.url.replace("127.0.0.1", "localhost")
    return visitor


def add_device(tab):
    """Give the browser an authenticator, and return how to make it refuse."""
    protocol = tab.context.new_cdp_session(tab)
    protocol.send("WebAuthn.enable")
    id = protocol.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})["authenticatorId"]
    return lambda: protocol.send("WebAuthn.setUserVerified", {"authenticatorId": id, "isUserVerified": False})


def test_a_passkey_is_added_in_the_settings_and_signs_in(ada):
    tab = ada.open("#/settings/security")
    refuse = add_device(tab)
    form = tab.locator("form", has=tab.get_by_label("Name of the passkey"))
    form.get_by_label("Name of the passkey").fill("Laptop")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Add a passkey").click()
    expect(tab.locator("li", has_text="Laptop")).to_contain_text("Last used: never")
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Sign out everywhere").click()
    tab.get_by_role("button", name="Sign in with a passkey").click()
    expect(tab.locator("li", has_text="Laptop")).not_to_contain_text("never")
    refuse()
    tab.get_by_role("button", name="Sign out everywhere").click()
    tab.get_by_role("button", name="Sign in with a passkey").click()

    expect(tab.get_by_role("alert")).to_have_text("No passkey was used. Try again, or sign in another way.")
