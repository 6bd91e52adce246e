"""`parley groups`, and documents shared with a group."""

import pytest

from tests.cli import replies
from tests.cli.document_replies import DOCUMENT_ID, READY, documents_page

GROUP = {
    "id": "0190a1b2-0000-7000-8000-0000cafe0001",
    "name": "Research",
    "role": "owner",
    "members": 2,
    "monthly_budget_usd": 50.0,
    "member_budget_usd": None,
    "spent_usd": 1.5,
    "created_at": "2026-11-01T10:00:00Z",
}
INVITED = GROUP | {"id": "0190a1b2-0000-7000-8000-0000cafe0002", "name": "Sales", "role": "invited", "members": None}
PATH = f"/auth/groups/{GROUP['id']}"
TITLE = "'Research' (cafe0001)"


@pytest.fixture(autouse=True)
def _groups(server, alice, utc):
    listed = [GROUP, INVITED | {"monthly_budget_usd": None}]
    server.on("GET /auth/groups", replies.reply(200, {"items": listed, "next_cursor": None}))


def test_groups_and_invitations_are_listed(parley):
    assert parley("groups").stdout.splitlines() == [
        "id        name      you are  members  budget",
        "cafe0001  Research  owner    2        $1.50 of $50.00",
        "cafe0002  Sales     invited",
    ]


def test_members_are_listed_with_their_roles(server, parley):
    member = {"email": "grace@example.com", "display_name": None, "role": "invited", "created_at": "2026-11-01T10:00:00Z"}
    server.on(f"GET {PATH}/members", replies.reply(200, {"items": [member], "next_cursor": None}))

    assert parley("groups", "members", "research").stdout.splitlines()[1:] == ["grace@example.com        invited  2026-11-01 10:00"]


@pytest.mark.parametrize(
    ("arguments", "route", "body", "told"),
    [
        (["add", "Research"], "POST /auth/groups", {"name": "Research"}, f"Founded {TITLE}"),
        (["rename", "research", "R&D"], f"PATCH {PATH}", {"name": "R&D"}, f"{TITLE} is now called 'Research'"),
        (
            ["role", "Research", "g@x.org", "owner"],
            f"PUT {PATH}/members",
            {"email": "g@x.org", "role": "owner"},
            f"g@x.org has the role owner in {TITLE}",
        ),
        (["remove", "Research", "g@x.org"], f"DELETE {PATH}/members", {"email": "g@x.org"}, f"g@x.org is no longer in {TITLE}"),
        (["join", "Research"], f"POST {PATH}/join", None, f"You are a member of {TITLE}"),
        (["delete", "Research", "--yes"], f"DELETE {PATH}", None, f"Deleted {TITLE}"),
    ],
)
def test_a_group_is_changed_and_the_change_is_told(server, parley, arguments, route, body, told):
    server.on(route, replies.reply(200, GROUP) if route.startswith(("POST", "PATCH")) else replies.reply(204))

    assert parley("groups", *arguments).stdout == f"{told}\n"
    assert server.requests[-1].body == (body or {})


@pytest.mark.parametrize(("mailed", "remark"), [(True, "A mail tells them."), (False, "No mail is sent: tell them yourself.")])
def test_an_invitation_says_whether_a_mail_is_sent(server, parley, mailed, remark):
    server.on(f"PUT {PATH}/members", replies.reply(200, {"mailed": mailed}))

    assert parley("groups", "invite", "cafe0001", "g@x.org").stdout == f"g@x.org is invited to {TITLE} for 30 days. {remark}\n"
    assert server.requests[-1].body == {"email": "g@x.org"}


@pytest.fixture
def signed_in_as(server):
    """Return a function that gives the user a role."""
    return lambda role: server.on("GET /auth/me", replies.reply(200, {"email": "alice@example.com", "role": role}))


def test_an_owner_sees_and_divides_the_budget(server, parley, signed_in_as):
    signed_in_as("user")
    server.on(f"PATCH {PATH}", replies.reply(200, GROUP | {"member_budget_usd": 10.0}))

    assert parley("groups", "budget", "Research").stdout == (
        f"{TITLE} has $48.50 of $50.00 left this month. Each member may spend the default budget.\n"
    )
    assert parley("groups", "budget", "Research", "--members", "10").stdout.endswith("Each member may spend $10.00.\n")
    assert server.requests[-1].body == {"member_budget_usd": 10.0}


def test_an_admin_sets_and_ends_the_budget_of_any_group(server, parley, signed_in_as):
    signed_in_as("admin")
    server.on("GET /admin/groups", replies.reply(200, {"items": [GROUP], "next_cursor": None}))
    server.on(f"PATCH /admin/groups/{GROUP['id']}", replies.reply(200, GROUP | {"monthly_budget_usd": None}))

    told = parley("groups", "budget", "Research", "--pool", "none", "--members", "default").stdout
    assert told == f"{TITLE} has no budget of its own.\n"
    assert server.requests[-1].body == {"member_budget_usd": None, "monthly_budget_usd": None}


def test_only_an_admin_gives_a_group_a_budget(parley, signed_in_as):
    signed_in_as("user")

    assert parley("groups", "budget", "Research", "--pool", "50").stderr == (
        "Only an admin gives a group a budget. An owner divides it: --members\n"
    )


def test_leaving_removes_the_users_own_address(server, parley):
    server.on("GET /auth/me", replies.reply(200, {"email": "alice@example.com"}))
    server.on(f"DELETE {PATH}/members", replies.reply(204))

    assert parley("groups", "leave", "Research").stdout == f"You are no longer in {TITLE}\n"
    assert server.requests[-1].body == {"email": "alice@example.com"}


def test_an_unknown_group_says_how_to_list_them(parley):
    assert parley("groups", "join", "Marketing").stderr == "There is no group 'Marketing'. To list them: parley groups\n"


@pytest.mark.parametrize(("command", "method", "verb"), [("share", "PUT", "is"), ("unshare", "DELETE", "is no longer")])
def test_a_document_is_shared_with_a_group(server, parley, command, method, verb):
    server.on("GET /documents", documents_page(READY))
    server.on(f"{method} /documents/{DOCUMENT_ID}/shares", replies.reply(204))

    assert parley("documents", command, "0000aaaa", "--group", "research").stdout == (
        f"'Handbook' (0000aaaa) {verb} shared with the group 'research'\n"
    )
    assert server.requests[-1].body == {"group_id": GROUP["id"]}


def test_a_document_of_a_group_names_its_owner(server, parley):
    shared = READY | {"is_own": False, "owner": {"email": "grace@example.com", "display_name": None}}
    server.on("GET /documents", documents_page(shared))

    assert parley("documents").stdout.splitlines()[1].endswith("a group (grace@example.com's)")
