"""The page at a server that demands a second factor: it asks for one before it shows anything else."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import running_stack
from tests.page.conftest import HeldResponse, axe_violations
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


def begin(tab):
    """Ask for a new app with the password."""
    form = tab.locator("form", has=tab.get_by_role("button", name="Set up"))
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Set up").click()


def add_app(tab):
    """Add an app, as far as its recovery codes."""
    begin(tab)
    app = pyotp.parse_uri(tab.get_by_role("link", name="Open the app").get_attribute("href"))
    tab.get_by_label("Code").fill(app.now())
    tab.get_by_role("button", name="Turn on").click()
    expect(tab.get_by_text("Keep these codes.")).to_be_visible()


def add_passkey(tab):
    """Add a passkey of this tab's browser, as far as the advice to sign in with it."""
    add_device(tab)
    tab.reload()
    form = tab.locator("form", has=tab.get_by_label("Name of the passkey"))
    form.get_by_label("Name of the passkey").fill("Laptop")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Add a passkey").click()
    expect(tab.get_by_text("Your account has a passkey.")).to_be_visible()


@pytest.fixture
def other_tab(ada):
    """A tab that asks for a second factor, which another tab of its session has added since."""
    first = ada.open("#/")
    expect(first.get_by_role("button", name="Set up")).to_be_visible()
    other = ada.open("#/")
    expect(other.get_by_role("button", name="Set up")).to_be_visible()
    add_app(first)
    return other


def test_a_user_adds_an_app_and_goes_on(ada):
    tab = ada.open("#/settings/keys")
    expect(tab.get_by_role("heading", name="One more step")).to_be_visible()
    assert axe_violations(tab) == []
    add_app(tab)
    expect(tab.get_by_role("button", name="Turn off")).to_have_count(0)
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Go on").click()

    expect(tab.get_by_role("heading", name="API keys").first).to_be_visible()
    tab.reload()
    expect(tab.get_by_role("heading", name="API keys").first).to_be_visible()


def test_a_user_adds_a_passkey_and_signs_in_with_it(ada):
    tab = ada.open("#/")
    add_passkey(tab)
    expect(tab.get_by_role("button", name="Set up")).to_have_count(0)
    tab.get_by_role("button", name="Sign in with a passkey").click()

    expect(tab.get_by_label("Your message", exact=True)).to_be_visible()


def test_a_browser_that_cannot_use_the_passkey_is_told_where_it_works(ada):
    tab = ada.open("#/")
    add_passkey(tab)
    tab.add_init_script("delete window.PublicKeyCredential?.parseRequestOptionsFromJSON")
    tab.reload()

    expect(tab.get_by_text("Passkeys work on the pages of localhost, in an up-to-date browser.")).to_be_visible()


@pytest.mark.parametrize("path", ["**/auth/passkeys", "**/auth/second-factor"])
def test_what_cannot_be_read_is_tried_again(ada, path):
    ada.context.route(path, lambda route: route.abort())
    tab = ada.open("#/")
    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
    again = tab.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    assert axe_violations(tab) == []
    ada.context.unroute(path)
    again.click()

    expect(tab.get_by_role("button", name="Set up")).to_be_visible()


def test_a_user_may_sign_out_before_the_page_has_read_the_passkeys(ada):
    tab = ada.open("#/")
    expect(tab.get_by_role("button", name="Set up")).to_be_visible()
    held = HeldResponse(tab, "**/auth/passkeys")
    tab.reload()
    held.wait_for()

    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
    held.deliver()
    expect(tab.get_by_role("button", name="Set up")).to_be_visible()


def test_a_tab_goes_on_with_the_app_that_another_tab_added(other_tab):
    begin(other_tab)
    other_tab.get_by_role("button", name="Go on").click()

    expect(other_tab.get_by_label("Your message", exact=True)).to_be_visible()


def test_a_tab_whose_token_is_renewed_meanwhile_shows_the_models(other_tab):
    other_tab.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=1))
    begin(other_tab)

    expect(other_tab.get_by_label("Your message", exact=True)).to_be_visible()
    expect(other_tab.get_by_label("Model", exact=True)).to_be_visible()
