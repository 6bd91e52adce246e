"""What people do with the page, from the first visit on."""

import json
import re
import time
from threading import Event

import pytest
from playwright.sync_api import expect

from tests.fakes.vendor import USAGE, chunk, refuses, says, streams
from tests.page.conftest import ADMIN_EMAIL, ask, axe_violations, expect_stored, open_screen
from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import HANG_S

WORDS = [f"word{number} " for number in range(40)]


def test_a_newcomer_signs_up_and_reads_the_first_answer(visitor, vendor):
    vendor.script = streams("Hello ", "there, ", "**Ada**.")
    tab = visitor.open()
    tab.get_by_role("link", name="Create an account").click()
    tab.get_by_label("Email").fill(visitor.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_label("Name", exact=True).fill("Ada")
    tab.get_by_role("button", name="Create account").click()
    expect(tab.get_by_role("heading", name="What is on your mind, Ada?")).to_be_visible()
    ask(tab, "Hello?")

    answer = tab.locator(".is-answer").last
    expect(answer.locator(".markdown")).to_have_text("Hello there, Ada.")
    expect(answer.locator("strong")).to_have_text("Ada")
    expect(answer.locator(".figures")).to_contain_text("12 in")
    assert re.search(r"#/c/[0-9a-f-]{36}$", tab.url)


def test_a_reload_keeps_the_session_without_a_token_that_scripts_can_read(ada):
    tab = ada.open()
    tab.locator(".welcome").wait_for()
    tab.reload()
    tab.locator(".welcome").wait_for()
    (cookie,) = ada.context.cookies(f"{ada.url}/auth/refresh")

    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == ("__Secure-parley-refresh", True, True, "Strict")
    assert ada.context.cookies(f"{ada.url}/chat") == []
    assert "prt_" not in tab.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie")


def test_a_wrong_password_is_a_sentence_and_the_address_stays(visitor):
    tab = visitor.open("#/sign-in")
    tab.get_by_label("Email").fill(visitor.email)
    tab.get_by_label("Password").fill("a wrong pass phrase")
    tab.get_by_role("button", name="Sign in").click()

    expect(tab.get_by_role("alert")).to_have_text("The address or the password is wrong.")
    expect(tab.get_by_label("Email")).to_have_value(visitor.email)


@pytest.fixture
def held(vendor):
    """A script that writes half of its words, waits for the test, and writes the rest."""
    go_on = Event()

    def wait(index):
        if index == len(WORDS) // 2:
            go_on.wait(HANG_S)

    vendor.script = streams(*WORDS, before=wait)
    yield go_on
    go_on.set()


def text_of(tab):
    return tab.locator(".is-answer .markdown").last.inner_text().split()


def test_a_reload_in_mid_answer_goes_on_without_a_gap_or_a_doubled_word_in_two_tabs(ada, held):
    tab = ada.open()
    ask(tab, "Many words, please.")
    expect(tab.locator(".is-answer .markdown").last).to_contain_text("word19")
    tab.reload()
    other = ada.open(tab.url.removeprefix(f"{ada.url}/"))
    for one in (tab, other):
        expect(one.locator(".is-answer .markdown").last).to_contain_text("word19")
    held.set()

    for one in (tab, other):
        expect(one.locator(".figures").last).to_contain_text("vendor")
        assert text_of(one) == [word.strip() for word in WORDS]


def test_an_answer_stops_within_a_second_and_keeps_its_text(ada, held):
    tab = ada.open()
    ask(tab, "Many words, please.")
    expect(tab.locator(".is-answer .markdown").last).to_contain_text("word19")
    began = time.monotonic()
    tab.get_by_role("button", name="Stop").click()
    expect(tab.locator(".is-answer .ending").last).to_have_text("Stopped. The text so far is kept.")
    took = time.monotonic() - began

    assert text_of(tab)[-1] == "word19"
    assert took < 5  # one second on an idle machine


def test_a_question_asked_while_an_answer_is_written_is_sent_after_it(ada, held):
    tab = ada.open()
    ask(tab, "First?")
    expect(tab.locator(".is-answer .markdown").last).to_contain_text("word19")
    ask(tab, "Second?")
    expect(tab.locator(".queue")).to_contain_text("Second?")
    held.set()

    expect_stored(tab, 2)
    expect(tab.locator(".bubble")).to_have_text(["First?", "Second?"])


def calls(tool, arguments):
    """A script that calls a tool."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "vendor-model"}
    steps = [({"tool_calls": [call]}, None), ({}, "tool_calls")]
    chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in steps]
    return says(b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + chunk(usage=USAGE) + b"data: [DONE]\n\n")


def test_an_approval_survives_a_reload_and_the_answer_goes_on(ada, vendor):
    ada.context.request.put(f"{ada.url}/tools/calculator", data={"requires_approval": True}, headers=ada.headers)
    answers = [calls("calculator", {"expression": "6*7"}), streams("It is 42.")]
    vendor.script = lambda handler: answers.pop(0)(handler)
    tab = ada.open()
    ask(tab, "What is 6 times 7?")
    expect(tab.locator(".approval")).to_contain_text("6*7")
    tab.reload()
    tab.get_by_role("button", name="Allow once").click()

    expect(tab.locator(".is-answer .markdown").last).to_have_text("It is 42.")
    expect_stored(tab, 1)
    tab.locator(".tool summary").click()
    expect(tab.locator(".tool pre").last).to_be_visible()
    expect(tab.locator(".tool pre").last).to_contain_text("42")


def test_a_question_of_the_model_survives_a_reload_and_is_answered_by_keyboard(ada, vendor):
    city = {"text": "Which city?", "kind": "choice", "options": ["Lyon", "Turin"]}
    days = {"text": "How many days?", "kind": "number", "required": False}
    answers = [calls("ask_user", {"questions": [city, days]}), streams("Off you go.")]
    vendor.script = lambda handler: answers.pop(0)(handler)
    tab = ada.open()
    ask(tab, "Plan a trip")
    expect(tab.locator(".question")).to_contain_text("Which city?")
    tab.reload()
    tab.get_by_role("radio", name="Turin").focus()
    tab.keyboard.press("Space")
    assert axe_violations(tab) == []
    tab.get_by_label("How many days?").press("Enter")

    expect(tab.locator(".is-answer .markdown").last).to_have_text("Off you go.")
    expect_stored(tab, 1)
    expect(tab.locator(".tool pre").last).to_contain_text("Turin")


def test_a_message_sent_while_the_answer_is_written_is_read_at_its_next_step(ada, vendor):
    go_on = Event()
    steps = [calls("calculator", {"expression": "6*7"}), streams("Forty-two.")]

    def script(handler):
        go_on.wait(HANG_S)
        steps.pop(0)(handler)

    vendor.script = script
    tab = ada.open()
    ask(tab, "What is 6 times 7?")
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    with tab.expect_response(lambda response: response.url.endswith("/messages") and response.request.method == "POST") as sent:
        ask(tab, "In words, please.")
    assert sent.value.ok
    expect(tab.locator(".queue")).to_contain_text("Sent")
    go_on.set()
    expect_stored(tab, 1)

    expect(tab.locator(".is-answer .markdown").last).to_have_text("Forty-two.")
    expect(tab.locator(".is-answer")).to_contain_text("In words, please.")
    expect(tab.locator(".queue")).to_have_count(0)
    assert "In words, please." in json.dumps(vendor.last_body)


def test_a_message_written_before_the_answer_begins_is_sent_to_it(ada, vendor):
    vendor.script = streams("Hello.")
    tab = ada.open()
    held = []
    tab.route("**/chat", lambda route: held.append(route))
    ask(tab, "Hello?")
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    ask(tab, "In German, please.")
    with tab.expect_request(lambda request: request.url.endswith("/messages") and request.method == "POST") as sent:
        held[0].continue_()

    assert sent.value.post_data_json["message"] == "In German, please."


def test_another_answer_becomes_a_variant(ada, vendor):
    vendor.script = streams("First answer.")
    tab = ada.open()
    ask(tab, "Hello?")
    expect(tab.locator(".figures").last).to_contain_text("vendor")
    vendor.script = streams("Second answer.")
    tab.get_by_role("button", name="Answer again").click()
    expect(tab.locator(".variants")).to_contain_text("2 / 2")
    tab.get_by_role("button", name="Previous answer").click()

    expect(tab.locator(".is-answer .markdown")).to_have_text("First answer.")


def test_an_edited_question_starts_a_branch(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    ask(tab, "One?")
    expect_stored(tab, 1)
    ask(tab, "Two?")
    expect_stored(tab, 2)
    before = tab.url
    edit_last_question(tab, "Three?")

    expect(tab.locator(".bubble")).to_have_text(["One?", "Three?"])
    expect_stored(tab, 2)
    assert tab.url != before


def test_an_edited_first_question_of_an_incognito_conversation_is_incognito_too(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    tab.get_by_role("button", name="Incognito").click()
    ask(tab, "One?")
    expect_stored(tab, 1)
    tab.reload()
    with tab.expect_request(lambda request: request.method == "POST" and request.url == f"{ada.url}/conversations") as made:
        edit_last_question(tab, "Another?")

    assert made.value.post_data_json["incognito"] is True
    expect(tab.locator(".bubble")).to_have_text(["Another?"])
    expect_stored(tab, 1)


def edit_last_question(tab, text):
    """Replace the text of the last question and send it. Only a stored question has the button."""
    tab.locator(".message.is-user").last.get_by_role("button", name="Edit").click()
    tab.get_by_role("textbox", name="Edit").fill(text)
    tab.get_by_role("button", name="Send edited").click()


def test_a_failed_answer_says_so_and_can_be_tried_again(ada, vendor):
    vendor.script = refuses(400)
    tab = ada.open()
    ask(tab, "Hello?")
    expect(tab.get_by_role("alert")).to_be_visible()
    vendor.script = streams("Now it works.")
    tab.get_by_role("button", name="Try again").click()

    expect(tab.locator(".is-answer .markdown").last).to_have_text("Now it works.")


def test_a_dead_network_keeps_the_question_and_answers_it_once(ada, vendor):
    vendor.script = streams("Only once.")
    tab = ada.open()
    tab.locator(".welcome").wait_for()
    ada.context.set_offline(True)
    ask(tab, "Are you there?")
    expect(tab.get_by_label("Your message", exact=True).last).to_have_value("Are you there?")
    ada.context.set_offline(False)
    tab.get_by_role("button", name="Send", exact=True).click()

    expect(tab.locator(".is-answer .markdown").last).to_have_text("Only once.")
    expect(tab.locator(".bubble")).to_have_count(1)


def test_a_question_that_comes_back_keeps_what_was_typed_meanwhile(ada):
    tab, requests = ada.open(), []
    tab.route("**/chat", lambda route: requests.append(route))
    with tab.expect_request("**/chat"):
        ask(tab, "Are you there?")
    field = tab.get_by_label("Your message", exact=True).last
    field.fill("And another thing.")
    requests[0].abort()

    expect(field).to_have_value("Are you there?\n\nAnd another thing.")


def other_account(visit, **headers):
    """Register somebody else, and return the address. With the header of cookie mode, the browser's session is theirs."""
    email = f"other-{visit.email}"
    made = visit.context.request.post(f"{visit.url}/auth/register", data={"email": email, "password": PASSWORD}, headers=headers)
    assert made.status == 201, made.text()
    return email


def test_the_draft_of_an_ended_session_is_not_shown_to_the_next_user_of_the_browser(ada):
    tab = ada.open()
    tab.get_by_label("Your message").fill("For my doctor only")
    ada.context.request.post(f"{ada.url}/auth/logout", data={"everywhere": True}, headers=ada.headers)
    tab.reload()
    tab.get_by_label("Email").fill(other_account(ada))
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()

    expect(tab.get_by_label("Your message")).to_have_value("")


def test_a_tab_shows_the_user_who_has_signed_in_in_another_tab_meanwhile(ada):
    tab = ada.open("#/settings/profile")
    expect(tab.get_by_label("Email")).to_have_value(ada.email)
    other = other_account(ada, **{"X-Session-Mode": "cookie"})
    # The access token has expired.
    tab.route("**/auth/me", lambda route: route.fulfill(status=401, json={"status": 401, "code": "unauthorized"}), times=1)
    tab.get_by_label("Name").fill("Ada")
    tab.get_by_role("button", name="Save").click()

    expect(tab.get_by_label("Email")).to_have_value(other)
    expect(tab.get_by_label("Name")).to_have_value("")


def test_an_ended_session_asks_for_the_password_and_the_draft_stays(ada):
    tab = ada.open()
    tab.get_by_label("Your message").fill("A half-written thought")
    ada.context.request.post(f"{ada.url}/auth/logout", data={"everywhere": True}, headers=ada.headers)
    tab.reload()
    tab.get_by_label("Email").fill(ada.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()

    expect(tab.get_by_label("Your message")).to_have_value("A half-written thought")


def test_a_return_from_the_sign_out_of_an_issuer_is_shown_until_the_next_sign_in(ada):
    tab = ada.open()
    tab.get_by_role("button", name="Sign out", exact=True).click()
    expect(tab.get_by_label("Email")).to_be_visible()
    tab.evaluate("sessionStorage.setItem('parley.issuer-logout', JSON.stringify({ label: 'Corp', state: 'x' }))")
    tab.goto(f"{ada.url}/?state=x")
    expect(tab.get_by_text("You have signed out of Corp too.")).to_be_visible()
    tab.get_by_label("Email").fill(ada.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_role("button", name="Sign out", exact=True).click()

    expect(tab.get_by_label("Email")).to_be_visible()
    expect(tab.get_by_text("You have signed out of Corp too.")).to_have_count(0)


def test_an_answer_cites_a_passage_that_opens_highlighted(ada, vendor):
    text = "# Leave\n\nEvery employee has thirty days of leave a year."
    form = {"file": {"name": "handbook.md", "mimeType": "text/markdown", "buffer": text.encode()}}
    made = ada.context.request.post(f"{ada.url}/documents", multipart=form, headers=ada.headers).json()
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends and status_of(ada, made["id"]) != "ready":
        time.sleep(0.2)
    vendor.script = streams("You have thirty days [1].")
    tab = ada.open()
    tab.get_by_role("button", name="Documents", exact=True).click()
    ask(tab, "How many days of leave do I have?")
    expect_stored(tab, 1)
    tab.locator("button.citation").first.click()

    expect(tab.get_by_role("dialog").locator("mark")).to_contain_text("thirty days of leave")


def status_of(ada, id):
    return ada.context.request.get(f"{ada.url}/documents/{id}", headers=ada.headers).json()["status"]


def test_a_document_over_4_mb_goes_to_the_store_and_is_read(ada):
    announced = {"filename": "a.txt", "content_type": "text/plain", "bytes": 5_000_000}
    form = ada.context.request.post(f"{ada.url}/documents/uploads", data=announced, headers=ada.headers).json()
    ada.context.request.delete(f"{ada.url}/documents/{form['id']}", headers=ada.headers)
    ada.store_url = form["upload_url"]
    tab = ada.open("#/documents")
    text = "The office closes at six.\n\n" + "\n".join(" " * 200 for _ in range(22_000))
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Add documents", exact=True).first.click()
    chooser.value.set_files({"name": "large.txt", "mimeType": "text/plain", "buffer": text.encode()})

    expect(tab.get_by_role("link", name="large", exact=True)).to_be_visible()
    expect(tab.get_by_text("1 passage")).to_be_visible()


def test_an_old_answer_still_shows_its_model_tokens_cost_and_duration(ada, vendor):
    vendor.script = streams("Fine.")
    tab = ada.open()
    ask(tab, "Hello?")
    expect_stored(tab, 1)
    shown = tab.locator(".figures").inner_text()
    tab.reload()

    expect(tab.locator(".figures")).to_have_text(shown, use_inner_text=True)
    expect(tab.locator(".figures > span")).to_have_count(3)


def test_the_chosen_theme_overrules_the_system(visitor):
    tab = visitor.open()
    paper = lambda: tab.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    seen = {}
    for system in ("light", "dark"):
        tab.emulate_media(color_scheme=system)
        for theme in ("", "light", "dark"):
            tab.evaluate(
                "(theme) => theme ? (document.documentElement.dataset.theme = theme) : delete document.documentElement.dataset.theme", theme
            )
            seen[system, theme] = paper()
    light, dark = seen["light", ""], seen["dark", ""]

    assert light != dark
    assert {theme: {seen[system, theme] for system in ("light", "dark")} for theme in ("light", "dark")} == {
        "light": {light},
        "dark": {dark},
    }


def test_a_pinned_conversation_is_first_in_another_tab_too(ada):
    """The oldest of more conversations than one page of the list."""
    for number in range(52):
        ada.context.request.post(f"{ada.url}/conversations", data={"title": f"No. {number}"}, headers=ada.headers)
    tab = ada.open()
    tab.get_by_role("button", name="Show more", exact=True).click()
    tab.get_by_role("button", name="Options for No. 0", exact=True).click()
    tab.get_by_role("menuitem", name="Pin").click()
    expect(tab.locator(".group").first.locator(".entry-row")).to_have_text(["No. 0"])
    other = ada.open()

    expect(other.locator(".group").first).to_contain_text("Pinned")
    expect(other.locator(".group").first.locator(".entry-row")).to_have_text(["No. 0"])


def test_an_old_conversation_that_is_open_stays_in_the_list(ada):
    """It is older than the first page of the list, which is read again when another tab changes a conversation."""
    create = lambda title: ada.context.request.post(f"{ada.url}/conversations", data={"title": title}, headers=ada.headers)  # noqa: E731
    old = create("The old one").json()["id"]
    for number in range(51):
        create(f"No. {number}")
    tab = ada.open(f"#/c/{old}")
    expect(tab.locator(".entry-row")).to_have_count(51)
    expect(tab.locator(".entry-row").first).to_have_text("The old one")
    other = ada.open()
    other.get_by_role("button", name="Options for No. 50", exact=True).click()
    other.get_by_role("menuitem", name="Pin").click()

    expect(tab.locator(".group").first.locator(".entry-row")).to_have_text(["No. 50"])
    expect(tab.locator(".entry-row").filter(has_text="The old one")).to_be_visible()


def test_a_deleted_conversation_leaves_the_list(ada, vendor):
    vendor.script = streams("Fine.")
    tab = ada.open()
    ask(tab, "Hello?")
    expect_stored(tab, 1)
    tab.locator(".entry-row").hover()
    tab.locator(".entry-row .menu button").first.click()
    tab.get_by_role("menuitem", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(tab.locator(".entry-row")).to_have_count(0)
    expect(tab.locator(".welcome")).to_be_visible()


ADMIN_SCREENS = {
    "users": "Users",
    "invites": "Invites",
    "groups": "Groups",
    "provisioning": "Provisioning",
    "usage": "Usage",
    "audit": "Audit",
    "system": "System",
}


def test_the_administration_is_accessible_and_lists_its_users(admin):
    tab = admin.open()
    found = {}
    for screen, heading in ADMIN_SCREENS.items():
        open_screen(tab, f"{admin.url}/#/admin/{screen}", heading=heading)
        found[screen] = axe_violations(tab)
    tab.goto(f"{admin.url}/#/admin/users")

    assert {name: broken for name, broken in found.items() if broken} == {}
    expect(tab.locator("main")).to_contain_text(ADMIN_EMAIL)


def test_an_admin_makes_replaces_and_revokes_the_token_of_an_identity_provider(admin):
    tab = admin.open("#/admin/provisioning")
    expect(tab.get_by_text(f"{admin.url}/scim/v2")).to_be_visible()
    tab.get_by_role("button", name="Make a token").click()
    secret = tab.locator(".secret code")
    expect(secret).to_contain_text("pst_")
    assert admin.context.request.get(f"{admin.url}/scim/v2/Users", headers={"Authorization": f"Bearer {secret.inner_text()}"}).ok
    tab.get_by_role("button", name="Replace the token").click()
    tab.get_by_role("dialog").get_by_role("button", name="Replace the token").click()
    expect(tab.locator(".card")).to_contain_text(["Last used: never", "Valid until"])
    tab.get_by_role("button", name="Revoke").click()
    tab.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(tab.get_by_text("No token. No identity provider is connected.")).to_be_visible()
    expect(secret).to_have_count(0)


def test_an_admin_ends_the_sessions_of_a_user_and_then_of_everybody(ada, admin):
    theirs, tab = ada.open(), admin.open("#/admin/users")
    expect(theirs.get_by_label("Your message", exact=True)).to_be_visible()
    tab.get_by_role("row", name=ada.email).get_by_role("button").click()
    tab.get_by_role("menuitem", name="End sessions").click()
    dialog = tab.get_by_role("dialog")
    assert axe_violations(tab) == []
    dialog.get_by_label("Revoke API keys, too").check()
    dialog.get_by_role("button", name="End sessions").click()
    expect(tab.get_by_text("1 session has ended.")).to_be_visible()
    theirs.reload()
    expect(theirs.get_by_role("button", name="Sign in", exact=True)).to_be_visible()

    tab.get_by_role("button", name="End everybody's sessions").click()
    dialog.get_by_label("Your password").fill("not-the-password")
    dialog.get_by_role("button", name="End sessions").click()
    expect(dialog.get_by_role("alert")).to_contain_text("password")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="End sessions").click()
    expect(dialog).to_have_count(0)
    tab.reload()

    expect(tab.get_by_role("button", name="End everybody's sessions")).to_be_visible()


def test_an_admin_finds_a_sign_up_in_the_audit(ada, admin):
    tab = admin.open("#/admin/audit")
    tab.get_by_label("Action", exact=True).fill("registered")
    expect(tab.locator("tbody tr").first).to_contain_text("registered")
    tab.get_by_label("Action", exact=True).fill("no_such_action")

    expect(tab.get_by_text("Nothing in this period.")).to_be_visible()


def test_a_used_up_budget_is_a_sentence_and_keeps_the_question(ada, admin, vendor):
    vendor.script = streams("Fine.")
    users = admin.context.request.get(f"{admin.url}/admin/users?email={ada.email}", headers=admin.headers).json()["items"]
    change = {"monthly_budget_usd": 0}
    assert admin.context.request.patch(f"{admin.url}/admin/users/{users[0]['id']}", data=change, headers=admin.headers).ok
    tab = ada.open()
    ask(tab, "Hello?")

    expect(tab.locator(".notices")).to_contain_text("Your budget for this month is used up.")
    expect(tab.get_by_label("Your message")).to_have_value("Hello?")


def test_a_deleted_account_is_signed_out_and_cannot_sign_in(ada):
    tab = ada.open("#/settings/data")
    tab.get_by_role("button", name="Delete my account").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Delete my account").click()
    expect(tab.get_by_label("Email")).to_be_visible()
    again = ada.context.request.post(f"{ada.url}/auth/login", data={"email": ada.email, "password": PASSWORD})

    assert again.status == 401


def test_a_pasted_image_is_sent_with_the_question(ada, vendor):
    vendor.script = streams("A dot.")
    tab = ada.open()
    tab.get_by_label("Your message").focus()
    tab.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
            const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
            const data = new DataTransfer();
            data.items.add(new File([blob], "dot.png", { type: "image/png" }));
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(tab.locator(".images img")).to_have_count(1)
    with tab.expect_request(lambda request: request.method == "POST" and request.url.endswith("/chat")) as sent:
        ask(tab, "What is this?")

    assert sent.value.post_data_json["images"][0].startswith("data:image/png;base64,")
