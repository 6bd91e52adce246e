"""The web page in Chromium, served by a running stack."""

import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.conftest import ROOT, Stack, running_stack
from tests.fakes.vendor import Vendor, running_vendor
from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import HANG_S

# Only guards against hangs: the suite must pass on a loaded machine.
PATIENCE_MS = 90_000
# The first is the same engine without windows, in half to two thirds of the processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome", "google-chrome-stable")
ADMIN_EMAIL = "root@example.com"
# A colour that is still changing has another contrast. Spinners never end.
FINITE_ANIMATIONS = "document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity)"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
ASSETS = ROOT / "functions" / "web" / "assets"
# Resolves once the page has had time to handle a response, in a frame and after it.
HANDLED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))"


@pytest.fixture(scope="session")
def vendor() -> Iterator[Vendor]:
    """A fake model vendor."""
    with running_vendor() as running:
        yield running


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The path of Chromium. Skips the test if there is none, or if the page is not built."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("NO BROWSER: Chromium is not installed, so nothing tests the web page (apt-get install chromium-headless-shell)")
    if not (ASSETS / "index.html").is_file():
        pytest.skip("NO PAGE: the web page is not built, so nothing tests it (make page)")
    return path


@pytest.fixture(scope="module")
def chromium(browser_path: str) -> Iterator[Browser]:
    """A running Chromium. It ends with the module: while it runs, no other test of this process can run an event loop."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(vendor: Vendor, browser_path: str) -> Iterator[Stack]:
    """A running stack with the page."""
    with running_stack(vendor, "--parameter", f"AdminEmail={ADMIN_EMAIL}") as running:
        yield running


@dataclass
class Visit:
    """A browser profile of one user at the page, and what went wrong in it: errors and requests to other hosts.

    Only upload forms may be sent elsewhere, to `store_url`.
    """

    context: object
    url: str
    email: str
    store_url: str = ""
    problems: list[str] = field(default_factory=list)

    def open(self, path: str = "#/"):
        """Open the page in a new tab."""
        tab = self.context.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("console", self._hear)
        tab.on("request", self._see)
        tab.goto(f"{self.url}/{path}")
        return tab

    def _hear(self, message) -> None:
        if "Content Security Policy" in message.text or "TrustedHTML" in message.text:
            self.problems.append(message.text)

    def _see(self, request) -> None:
        is_upload = bool(self.store_url) and request.method == "POST" and request.url == self.store_url
        if not is_upload and not request.url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"a request to {request.url}")


@pytest.fixture
def visitor(stack: Stack, chromium) -> Iterator[Visit]:
    """Somebody without an account. Fails the test if a script broke or another host was asked."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit = Visit(context, stack.url, f"{secrets.token_hex(6)}@example.com")
    yield visit
    context.close()
    assert visit.problems == []


@pytest.fixture
def ada(visitor: Visit) -> Visit:
    """A user with a session."""
    headers = {"X-Session-Mode": "cookie"}
    made = visitor.context.request.post(
        f"{visitor.url}/auth/register", data={"email": visitor.email, "password": PASSWORD}, headers=headers
    )
    assert made.status == 201, made.text()
    visitor.headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
    return visitor


@pytest.fixture
def admin(stack: Stack, chromium) -> Iterator[Visit]:
    """The admin of the stack, whose first account they are."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    visit = Visit(context, stack.url, ADMIN_EMAIL)
    credentials, headers = {"email": ADMIN_EMAIL, "password": PASSWORD}, {"X-Session-Mode": "cookie"}
    made = context.request.post(f"{stack.url}/auth/register", data=credentials, headers=headers)
    if made.status != 201:
        made = context.request.post(f"{stack.url}/auth/login", data=credentials, headers=headers)
    visit.headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
    yield visit
    context.close()
    assert visit.problems == []


def ask(tab, text: str) -> None:
    """Type a question and send it."""
    tab.get_by_label("Your message", exact=True).last.fill(text)
    tab.get_by_role("button", name="Send", exact=True).click()


def expect_stored(tab, count: int) -> None:
    """Wait until the page shows this many answers and all of them are stored: nothing replaces their elements from then on."""
    answers = tab.locator(".is-answer")
    expect(answers.get_by_role("button", name="Branch from here")).to_have_count(count)
    expect(answers).to_have_count(count)


def open_screen(tab, url: str, *, heading: str) -> None:
    """Go to another screen, and wait until it has replaced the last one and shows its content."""
    tab.goto(url)
    expect(tab.locator("main").get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(tab.locator("main .spinner")).to_have_count(0)
    tab.wait_for_timeout(200)


class HeldResponse:
    """The server's response to the next request that matches a pattern. It reaches the page only by `deliver`.

    Of several for one pattern, the one made last gets the first response.
    """

    def __init__(self, tab, pattern) -> None:
        self._tab = tab
        self._route = self._response = None
        tab.route(pattern, self._handle)

    def _handle(self, route) -> None:
        if self._route:
            route.fallback()
        else:
            self._route = route
            self._response = route.fetch(timeout=PATIENCE_MS)

    def wait_for(self) -> None:
        """Wait until the server has responded."""
        ends = time.monotonic() + HANG_S
        while self._response is None and time.monotonic() < ends:
            self._tab.wait_for_timeout(50)

    def deliver(self) -> None:
        """Let the page have the response, and wait until the page has handled it."""
        self.wait_for()
        # Not its end, which a stream may not have: the page stops reading at the last event of a turn.
        with self._tab.expect_response(lambda response: response.request == self._route.request):
            self._route.fulfill(response=self._response)
        self._tab.evaluate(HANDLED)


def axe_violations(tab) -> list[str]:
    """Return the accessibility rules that the screen breaks, with the first element of each."""
    # By the protocol, because the page's policy refuses scripts that a test would add to it.
    tab.evaluate(Path(AXE).read_text())
    tab.evaluate(f"Promise.allSettled({FINITE_ANIMATIONS}.map((one) => one.finished))")
    found = tab.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}" for one in found]
