"""An application asks for access to the MCP server, and its user answers in the page."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.fakes.oauth_client import parameters_of
from tests.page.conftest import axe_violations
from tests.support import qr_codes
from tests.support.api_gateway import PASSWORD

# Give the window the focus, and return whether the button is still disabled a tenth of a second later.
FOCUS = """
dispatchEvent(new Event("focus")),
new Promise((done) => setTimeout(() => done(document.querySelector(".is-primary").disabled), 100))
"""


@pytest.fixture
def request_path(visitor):
    """The address that an application opens. Its answer comes back to a page of the stack, because the test allows no other host."""
    callback = f"{visitor.url}/health"
    made = visitor.context.request.post(f"{visitor.url}/oauth/register", data={"client_name": "Editor", "redirect_uris": [callback]})
    asked = {"response_type": "code", "client_id": made.json()["client_id"], "redirect_uri": callback, "state": "a b/c"}
    asked |= {"code_challenge": "A" * 43, "code_challenge_method": "S256", "scope": "mcp:tools mcp:documents"}
    return f"oauth/authorize?{urlencode(asked)}"


def sign_in(tab, email):
    tab.get_by_label("Email").fill(email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()


def test_a_user_who_is_signed_in_connects_an_application(ada, request_path):
    tab = ada.open(request_path)
    expect(tab.get_by_role("heading", name="Connect Editor?")).to_be_visible()
    expect(tab.get_by_text("Read and search your documents")).to_be_visible()
    assert axe_violations(tab) == []
    tab.get_by_role("button", name="Connect").click()
    tab.wait_for_url("**/health?code=*")

    assert parameters_of(tab.url).keys() == {"code", "state", "iss"}
    assert (parameters_of(tab.url)["state"], parameters_of(tab.url)["iss"]) == ("a b/c", ada.url)


def test_a_user_signs_in_first_and_denies(ada, request_path):
    ada.context.clear_cookies()
    tab = ada.open(request_path)
    expect(tab.get_by_text("Sign in to connect an application to your account.")).to_be_visible()
    sign_in(tab, ada.email)
    tab.get_by_role("button", name="Deny").click()
    tab.wait_for_url("**/health?error=*")

    assert parameters_of(tab.url)["error"] == "access_denied"


def test_a_click_that_was_meant_for_another_window_connects_nothing(ada, request_path):
    """Another site's window above the page closes between the two clicks of a double click."""
    tab = ada.open(request_path)
    connect = tab.get_by_role("button", name="Connect")
    expect(connect).to_be_enabled()
    tab.evaluate("dispatchEvent(new Event('blur'))")
    expect(connect).to_be_disabled()

    assert tab.evaluate(FOCUS)
    expect(connect).to_be_enabled()


def test_a_request_that_is_not_valid_is_explained(ada, request_path):
    tab = ada.open(request_path.replace("S256", "plain"))

    expect(tab.get_by_role("heading", name="This application cannot be connected")).to_be_visible()
    expect(tab.get_by_role("button", name="Back to the application")).to_be_visible()
    assert axe_violations(tab) == []


def test_the_security_settings_name_the_application_and_show_the_key_of_a_second_factor(ada, request_path):
    tab = ada.open(request_path)
    tab.get_by_role("button", name="Connect").click()
    tab.wait_for_url("**/health?code=*")
    settings = ada.open("#/settings/security")

    expect(settings.get_by_text("Editor", exact=True)).to_be_visible()
    form = settings.locator("form", has=settings.get_by_role("button", name="Set up"))
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_role("button", name="Set up").click()
    code = settings.get_by_role("img", name="QR code of the key")
    expect(code).to_have_js_property("complete", True)
    assert qr_codes.read_png(code.screenshot()) == settings.get_by_role("link", name="Open the app").get_attribute("href")
