"""The page at a server that demands a second factor: it asks for one before it shows anything else."""

import pyotp
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import running_stack
from tests.page.conftest import axe_violations
from tests.page.test_passkeys import add_device
from tests.support.api_gateway import PASSWORD


@pytest.fixture(scope="module")
def stack(vendor, browser_path):
    """A running stack that demands a second factor of everybody."""
    with running_stack(vendor, "--parameter", "UserSecondFactor=required") as running:
        yield running


@pytest.fixture
def visitor(visitor):
    """Somebody at the page's other address: no passkey belongs to an address without a name."""
    visitor.url = visitor.url.replace("127.0.0.1", "localhost")
    return visitor


def test_a_user_adds_an_app_and_goes_on(ada):
    tab = ada.open("#/settings/keys")
    expect(tab.get_by_role("heading", name="One more step")).to_be_visible()
    assert axe_violations(tab) == []
    form = tab.locator("form", has=tab.get_by_role("button", name="Set up"))
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Set up").click()
    app = pyotp.parse_uri(tab.get_by_role("link", name="Open the app").get_attribute("href"))
    tab.get_by_label("Code").fill(app.now())
    tab.get_by_role("button", name="Turn on").click()
    expect(tab.get_by_text("Keep these codes.")).to_be_visible()
    expect(tab.get_by_role("button", name="Turn off")).to_have_count(0)
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Go on").click()

    expect(tab.get_by_role("heading", name="API keys").first).to_be_visible()
    tab.reload()
    expect(tab.get_by_role("heading", name="API keys").first).to_be_visible()


def test_a_user_adds_a_passkey_and_signs_in_with_it(ada):
    tab = ada.open("#/")
    add_device(tab)
    tab.reload()
    form = tab.locator("form", has=tab.get_by_label("Name of the passkey"))
    form.get_by_label("Name of the passkey").fill("Laptop")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Add a passkey").click()
    expect(tab.get_by_text("Your account has a passkey.")).to_be_visible()
    expect(tab.get_by_role("button", name="Set up")).to_have_count(0)
    tab.get_by_role("button", name="Sign in with a passkey").click()

    expect(tab.get_by_label("Your message", exact=True)).to_be_visible()
