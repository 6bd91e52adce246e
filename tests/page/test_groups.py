"""Groups: an invitation, and a budget that an admin gives and an owner divides."""

import secrets

import pytest
from playwright.sync_api import expect


@pytest.fixture
def group(ada):
    """The name of a group of ada's."""
    name = f"Research {secrets.token_hex(4)}"
    assert ada.context.request.post(f"{ada.url}/auth/groups", data={"name": name}, headers=ada.headers).status == 201
    return name


def test_an_admin_gives_a_group_a_budget_and_its_owner_divides_it(ada, admin, group):
    tab = admin.open("#/admin/groups")
    card = tab.locator(".card", has_text=group)
    card.get_by_role("button", name="Set budget").click()
    tab.get_by_label("All members together").fill("50")
    tab.get_by_role("button", name="Save").click()
    expect(card).to_contain_text("$0 of $50.00 this month")
    tab = ada.open("#/groups")
    tab.get_by_role("button", name=f"Options for {group}").click()
    tab.get_by_role("menuitem", name="Budget").click()
    expect(tab.get_by_role("dialog")).to_contain_text("$50.00 left")
    tab.get_by_label("Each member").fill("60")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_role("alert")).to_contain_text("cannot exceed the group's budget")
    tab.get_by_label("Each member").fill("10")
    tab.get_by_role("button", name="Save").click()

    expect(tab.get_by_text("$10.00 for each member")).to_be_visible()


def test_an_invitation_says_that_it_is_mailed(ada, group):
    tab = ada.open("#/groups")
    tab.get_by_role("button", name=f"Options for {group}").click()
    tab.get_by_role("menuitem", name="Members").click()
    tab.get_by_label("Email").fill(f"{secrets.token_hex(6)}@example.com")
    tab.get_by_role("button", name="Invite").click()

    expect(tab.get_by_text("Invited. A mail tells them.")).to_be_visible()
    expect(tab.get_by_role("dialog").locator(".card")).to_have_count(2)
