"""The page when responses arrive late or in another order than their requests."""

import re

import pytest
from playwright.sync_api import expect

from tests.fakes.vendor import refuses, streams
from tests.page.conftest import HeldResponse, ask, expect_stored
from tests.page.test_journeys import edit_last_question

MESSAGES = re.compile(r"/conversations/[0-9a-f-]{36}/messages\?")
REFRESH = re.compile(r"/auth/refresh$")
SCIM_TOKEN = re.compile(r"/admin/scim-token$")
LOGOUT = re.compile(r"/auth/logout$")
CONVERSATIONS = re.compile(r"/conversations\?limit=50$")


def test_a_list_of_messages_that_arrives_late_does_not_replace_a_newer_one(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    ask(tab, "One?")
    expect_stored(tab, 1)
    late = HeldResponse(tab, MESSAGES)
    tab.reload()
    ask(tab, "Two?")
    expect_stored(tab, 2)
    late.deliver()

    expect(tab.locator(".bubble")).to_have_text(["One?", "Two?"])
    expect(tab.locator(".figures")).to_have_count(2)


def test_a_branch_keeps_its_answer_when_its_first_messages_arrive_late(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    ask(tab, "One?")
    expect_stored(tab, 1)
    ask(tab, "Two?")
    expect_stored(tab, 2)
    # The branch reads its messages twice before the question: for the question, and for the screen.
    late, first = HeldResponse(tab, MESSAGES), HeldResponse(tab, MESSAGES)
    edit_last_question(tab, "Three?")
    late.wait_for()
    first.deliver()
    expect_stored(tab, 2)
    late.deliver()

    expect(tab.locator(".bubble")).to_have_text(["One?", "Three?"])


def test_a_question_asked_before_the_stored_answer_arrives_is_answered_next(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    late = HeldResponse(tab, MESSAGES)
    ask(tab, "One?")
    expect(tab.locator(".figures")).to_have_count(1)
    ask(tab, "Two?")
    expect(tab.locator(".queue")).to_contain_text("Two?")
    late.deliver()

    expect_stored(tab, 2)
    expect(tab.locator(".bubble")).to_have_text(["One?", "Two?"])


def test_a_question_asked_right_after_a_failure_is_answered(ada, vendor):
    vendor.script = refuses(400)
    tab = ada.open()
    late = HeldResponse(tab, MESSAGES)
    ask(tab, "One?")
    expect(tab.get_by_role("alert")).to_be_visible()
    vendor.script = streams("An answer.")
    ask(tab, "Two?")
    late.deliver()

    expect_stored(tab, 1)
    expect(tab.locator(".bubble")).to_have_text(["One?", "Two?"])


def test_a_text_typed_before_the_conversation_begins_stays_in_the_field(ada, vendor):
    vendor.script = streams("An answer.")
    tab = ada.open()
    late = HeldResponse(tab, re.compile(r"/chat$"))
    ask(tab, "One?")
    expect(tab.locator(".bubble")).to_have_text(["One?"])
    tab.get_by_label("Your message", exact=True).last.fill("A second thought")
    late.deliver()
    expect_stored(tab, 1)

    expect(tab.get_by_label("Your message", exact=True).last).to_have_value("A second thought")


def test_a_list_of_conversations_that_arrives_late_does_not_replace_a_newer_one(ada):
    for number in range(2):
        ada.context.request.post(f"{ada.url}/conversations", data={"title": f"No. {number}"}, headers=ada.headers)
    tab, other = ada.open(), ada.open()
    expect(tab.locator(".entry-row")).to_have_text(["No. 1", "No. 0"])
    late = HeldResponse(tab, CONVERSATIONS)
    for title in ("No. 0", "No. 1"):
        other.get_by_role("button", name=f"Options for {title}", exact=True).click()
        other.get_by_role("menuitem", name="Delete").click()
        other.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(other.get_by_role("dialog")).to_have_count(0)
    expect(tab.locator(".entry-row")).to_have_count(0)
    late.deliver()

    expect(tab.locator(".entry-row")).to_have_count(0)


@pytest.mark.parametrize("request_refused", [REFRESH, MESSAGES], ids=["the session", "the messages"])
def test_a_page_that_opens_while_the_server_starts_is_complete_a_moment_later(ada, vendor, request_refused):
    vendor.script = streams("An answer.")
    tab = ada.open()
    ask(tab, "One?")
    expect_stored(tab, 1)
    tab.route(request_refused, lambda route: route.fulfill(status=503, json={"status": 503, "code": "unavailable"}), times=1)
    tab.reload()

    expect_stored(tab, 1)
    expect(tab.locator(".bubble")).to_have_text(["One?"])


def test_a_sign_out_ends_the_session_or_says_that_it_goes_on(ada):
    """At first the server cannot be reached, then the access token has expired."""
    tab = ada.open()
    sign_out = tab.get_by_role("button", name="Sign out", exact=True)
    tab.route(LOGOUT, lambda route: route.abort(), times=1)
    sign_out.click()
    expect(tab.locator(".notices")).to_contain_text("You are still signed in")
    tab.route(LOGOUT, lambda route: route.fulfill(status=401, json={"status": 401, "code": "unauthorized"}), times=1)
    sign_out.click()
    expect(tab.get_by_label("Email")).to_be_visible()
    tab.reload()

    expect(tab.get_by_label("Email")).to_be_visible()


def test_a_double_click_makes_one_token_for_an_identity_provider(admin):
    tab = admin.open("#/admin/provisioning")
    make = tab.get_by_role("button", name="Make a token")
    expect(make).to_be_enabled()
    late = HeldResponse(tab, SCIM_TOKEN)
    make.dblclick()
    late.deliver()

    expect(tab.locator(".secret code")).to_contain_text("pst_")
    expect(tab.locator(".card")).to_have_count(1)
    assert admin.context.request.delete(f"{admin.url}/admin/scim-token", headers=admin.headers).ok
