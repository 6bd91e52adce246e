"""A team of three works in the page, from the sign-in at its issuer to the admin's audit: `make journeys`."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import EMBEDDING_MODEL, MODELS, Stack, running_stack
from tests.fakes.chat_exports import chatgpt_trip, zipped
from tests.fakes.oidc_issuer import CLIENT_ID, SECRET, FakeIssuer, person, serving_issuer
from tests.fakes.vendor import chunk, says, streams
from tests.page.conftest import PATIENCE_MS
from tests.page.test_sharing import share
from tests.page.test_workspace import drop
from tests.support.time_limits import HANG_S

# The model in the function `embedder` finds by meaning. The model of other tests compares words only.
CATALOGUE = f"""{MODELS.replace('embedding = "lexical"', 'embedding = "meaning"')}
[models.meaning]
provider = "builtin"
name = "all-MiniLM-L6-v2"
kind = "embedding"
dimensions = 384
timeout_s = 120
"""
AT_ONCE = 50
POOL_USD = 0.02
COSTLY = {"prompt_tokens": 12, "completion_tokens": 1000, "total_tokens": 1012}
COST_USD = 12 * 1e-6 + 1000 * 2e-6


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    """The team's issuer. Its group `chiefs` are admins, and it has a page on which users sign out."""
    with serving_issuer(FakeIssuer()) as served:
        served.metadata = {"end_session_endpoint": f"{served.url}/end"}
        yield served


@pytest.fixture(scope="module")
def stack(vendor, browser_path, issuer) -> Iterator[Stack]:
    """A stack whose users sign in at the issuer."""
    if not EMBEDDING_MODEL.exists():
        pytest.skip("the built-in embedding model is not installed: run `make embedder`")
    configured = {"id": "corp", "label": "Corp", "issuer": issuer.url, "client_id": CLIENT_ID, "client_secret": SECRET}
    issuers = json.dumps([configured | {"admin_groups": ["chiefs"], "post_logout_redirect_uri": "https://chat.example.com/"}])
    # All requests of the race are in progress at once.
    parameters = {"OidcIssuers": issuers, "AnswersPerUser": str(AT_ONCE), "RatePerMinute": "1000"}
    options = [part for name, value in parameters.items() for part in ("--parameter", f"{name}={value}")]
    with running_stack(vendor, *options, catalogue=CATALOGUE) as running:
        yield running


@pytest.fixture
def sign_in(chromium, stack, issuer):
    """Return a function that signs somebody in at the issuer, in a browser of their own."""

    def sign_in(name, **claims):
        issuer.person = person(name=name, **claims)
        tab = chromium.new_context().new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.goto(stack.url)
        tab.get_by_role("button", name="Sign in with Corp").click()
        expect(tab.get_by_role("heading", name=f"What is on your mind, {name}?")).to_be_visible()
        return tab

    return sign_in


def test_a_team_of_three_works_in_the_page(sign_in, stack, vendor, chromium):
    ada, grace = sign_in("Ada"), sign_in("Grace", email="grace@example.com")
    root = sign_in("Root", groups=["chiefs"])

    found_group(ada, grace, stack.url)
    fund_group(root, stack.url)
    share_document(ada, stack.url)
    share_assistant(ada, stack.url)
    key = make_key(grace, stack.url)
    ask_assistant(stack, vendor, key)
    spend_pool(stack, vendor, key, root)
    import_conversations(ada, stack.url)
    share_and_revoke_link(ada, chromium, stack.url)
    read_audit(root, stack.url)
    sign_out(grace, stack.url)


def sign_out(tab, url):
    """The member signs out here and at the issuer, and comes back."""
    tab.goto(url)
    tab.get_by_role("button", name="Sign out", exact=True).click()
    tab.get_by_role("button", name="Sign out of Corp too").click()
    tab.wait_for_url(re.compile(r"/end\?"))
    (state,) = parse_qs(urlsplit(tab.url).query)["state"]
    tab.goto(f"{url}/?state={state}")
    expect(tab.get_by_text("You have signed out of Corp too.")).to_be_visible()


def found_group(owner, member, url):
    """The owner founds a group and invites the member, who joins."""
    owner.goto(f"{url}/#/groups")
    owner.get_by_label("Name of the group").fill("Research")
    owner.get_by_role("button", name="Create group").click()
    owner.get_by_role("button", name="Options for Research").click()
    owner.get_by_role("menuitem", name="Members").click()
    owner.get_by_label("Email").fill("grace@example.com")
    owner.get_by_role("button", name="Invite").click()
    expect(owner.get_by_text("Invited. A mail tells them.")).to_be_visible()
    owner.keyboard.press("Escape")
    member.goto(f"{url}/#/groups")
    member.get_by_role("button", name="Join").click()
    expect(member.get_by_text("Member · 2 members")).to_be_visible()


def fund_group(admin, url):
    """The admin gives the group a budget."""
    admin.goto(f"{url}/#/admin/groups")
    admin.get_by_role("button", name="Set budget").click()
    admin.get_by_label("All members together").fill(str(POOL_USD))
    admin.get_by_role("button", name="Save").click()
    expect(admin.locator(".card")).to_contain_text("$0 of $0.02 this month")


def share_with_group(tab, title):
    """Share something with the group, from its menu."""
    tab.get_by_role("button", name=f"Options for {title}").click()
    tab.get_by_role("menuitem", name="Share with groups").click()
    with tab.expect_response(lambda response: response.request.method == "PUT") as sent:
        tab.get_by_role("switch", name="Research").check()
    assert sent.value.status == 204
    tab.keyboard.press("Escape")


def share_document(tab, url):
    """Drop a document on the page and share it with the group."""
    tab.goto(f"{url}/#/documents")
    expect(tab.get_by_text("No documents yet")).to_be_visible()
    drop(tab, ".screen", name="handbook.txt", media_type="text/plain", text="Every employee has thirty days of leave a year.")
    expect(tab.get_by_text("1 passage")).to_be_visible(timeout=HANG_S * 1000)
    share_with_group(tab, "handbook")


def share_assistant(tab, url):
    """Make an assistant that answers from the document, and share it with the group."""
    tab.goto(f"{url}/#/assistants")
    tab.get_by_role("button", name="Add assistant").click()
    tab.get_by_label("Name").fill("Leave desk")
    tab.get_by_label("Instructions").fill("Answer from the handbook.")
    tab.get_by_role("switch", name="handbook").check()
    tab.get_by_role("button", name="Save").click()
    share_with_group(tab, "Leave desk")


def make_key(tab, url):
    """Make an API key, without a password because the sign-in is fresh, and return it."""
    tab.goto(f"{url}/#/settings/keys")
    tab.get_by_label("Name", exact=True).fill("Team")
    tab.get_by_role("button", name="Create key").click()
    return tab.locator(".secret code").inner_text()


def complete(stack, key, model, text, **options):
    """Ask a model of `/v1`."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]} | options
    return stack.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


def ask_assistant(stack, vendor, key):
    """A member finds the assistant among the models of `/v1`, and it answers from the group's document."""
    vendor.script = streams("Thirty days [1].")
    models = stack.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).json()["data"]
    (assistant,) = [model["id"] for model in models if model["id"].startswith("assistant:")]
    answer = complete(stack, key, assistant, "How many days of leave do I have?")
    sent = json.dumps(vendor.last_body)

    assert "Thirty days" in answer.json()["choices"][0]["message"]["content"]
    assert "Answer from the handbook." in sent
    assert "thirty days of leave" in sent


def spend_pool(stack, vendor, key, admin):
    """Fifty calls at once cost more than the pool: some are answered, the others refused, and no more is spent than there was."""
    vendor.script = says(chunk("Fine.") + chunk(finish="stop") + chunk(usage=COSTLY) + b"data: [DONE]\n\n")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda _: complete(stack, key, "vendor", "Hello?", max_tokens=1000), range(AT_ONCE)))
    counts = Counter(answer.status_code for answer in answers)
    admin.reload()
    card = admin.locator(".card")
    expect(card).to_contain_text("of $0.02 this month")
    spent = re.search(r"\$([0-9.]+) of", card.inner_text())

    assert counts.keys() == {200, 429}
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 429} == {"insufficient_quota"}
    assert counts[200] * COST_USD <= POOL_USD
    assert float(spent[1]) <= POOL_USD


def import_conversations(tab, url):
    """Import an export of ChatGPT, and find its conversation by other words."""
    tab.goto(f"{url}/#/settings/data")
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Choose a file").click()
    chooser.value.set_files({"name": "export.zip", "mimeType": "application/zip", "buffer": zipped([chatgpt_trip()])})
    expect(tab.get_by_text("1 conversation added")).to_be_visible(timeout=HANG_S * 1000)
    tab.get_by_label("Search conversations").fill("breeding places of sea birds")
    expect(tab.locator(".passage", has_text="Puffins").first).to_be_visible()
    tab.get_by_label("Search conversations").fill("")


def share_and_revoke_link(tab, chromium, url):
    """A link to the imported conversation is opened signed out, until it is revoked."""
    tab.goto(url)
    tab.reload()
    address = share(tab, "Anyone who has the link")
    reader = chromium.new_context().new_page()
    reader.goto(address)
    expect(reader.locator(".bubble", has_text="Where do puffins nest in Iceland?")).to_be_visible()
    tab.goto(f"{url}/#/settings/links")
    tab.get_by_role("button", name="Revoke").click()
    expect(tab.get_by_text("You have shared no conversation.")).to_be_visible()
    reader.reload()
    expect(reader.get_by_role("heading", name="This link leads to nothing")).to_be_visible()


AUDITED = (
    "login", "group_founded", "group_joined", "group_funded", "document_shared", "assistant_shared", "api_key_made", "import_announced",
    "link_shared", "link_revoked",
)  # fmt: skip


def read_audit(admin, url):
    """The admin finds each of the team's acts in the audit."""
    admin.goto(f"{url}/#/admin/audit")
    for action in AUDITED:
        admin.get_by_label("Action", exact=True).fill(action)
        expect(admin.locator("tbody tr").first).to_contain_text(action)
