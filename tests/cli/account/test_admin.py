"""`parley admin`: accounts, invites and usage."""

import json

import pytest

from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc", "accounts")

BOB = {
    "id": "0190a1b2-0000-7000-8000-00000000aaaa",
    "email": "bob@example.com",
    "display_name": "Bob\x1b[2J",
    "role": "user",
    "disabled": True,
    "monthly_budget_usd": 5.0,
    "created_at": "2026-03-01T14:02:33Z",
}
NOTBOB = {**BOB, "id": "0190a1b2-0000-7000-8000-00001111bbbb", "email": "notbob@example.com", "disabled": False, "monthly_budget_usd": None}
CHANGE_BOB = f"PATCH /admin/users/{BOB['id']}"


def listing(*items):
    return replies.reply(200, {"items": items, "next_cursor": None})


@pytest.fixture
def accounts(server, alice):
    """Two accounts, one of whose addresses contains the other."""
    server.on("GET /admin/users", listing(NOTBOB, BOB))
    server.on(CHANGE_BOB, replies.reply(200, BOB))


def test_accounts_are_listed_and_filtered(server, parley):
    result = parley("admin", "users", "bob", "--limit", "50")

    assert result.stdout.splitlines() == [
        "id        e-mail              name  role            budget   since",
        "1111bbbb  notbob@example.com  Bob   user            default  2026-03-01 14:02",
        "0000aaaa  bob@example.com     Bob   user, disabled  $5.00    2026-03-01 14:02",
    ]
    assert server.lines == ["GET /admin/users?limit=50&email=bob"]


@pytest.mark.parametrize("who", ["Bob@example.com", "0000aaaa", BOB["id"]])
@pytest.mark.parametrize(
    ("command", "rest", "changes", "expected"),
    [
        ("disable", ["--yes"], {"disabled": True}, "is disabled"),
        ("enable", [], {"disabled": False}, "is enabled"),
        ("role", ["admin"], {"role": "admin"}, "has the role admin"),
        ("budget", ["12.50"], {"monthly_budget_usd": 12.5}, "has a monthly budget of $12.50"),
        ("budget", ["default"], {"monthly_budget_usd": None}, "has the default monthly budget"),
    ],
)
def test_an_account_can_be_changed_by_address_or_id(server, parley, who, command, rest, changes, expected):
    result = parley("admin", command, who, *rest)

    assert result.stdout == f"bob@example.com {expected}\n"
    assert (server.requests[-1].line, server.requests[-1].body) == (CHANGE_BOB, changes)


@pytest.mark.parametrize("who", ["ob@example.com", "ffff"])
def test_an_unknown_account_is_reported(server, parley, who):
    result = parley("admin", "enable", who)

    assert (result.exit_code, result.stderr) == (1, f"There is no account '{who}'. To list them: parley admin users\n")


def test_disabling_asks_for_confirmation(server, parley):
    result = parley("admin", "disable", "bob@example.com", stdin="n\n")

    assert "Disable bob@example.com and end its sessions?" in result.stderr
    assert CHANGE_BOB not in server.lines


@pytest.mark.parametrize("revoked", [[], ["--revoke-api-keys"]])
def test_the_sessions_of_an_account_end(server, parley, revoked):
    path = f"DELETE /admin/users/{BOB['id']}/sessions"
    server.on(path, replies.reply(200, {"users": 1, "sessions": 1200, "api_keys": 2}))

    result = parley("admin", "end-sessions", "bob@example.com", "--yes", *revoked)

    assert result.stdout == "Sessions ended: 1,200. API keys revoked: 2.\n"
    assert (server.requests[-1].line, server.requests[-1].body) == (path, {"revoke_api_keys": bool(revoked)})


def test_everybodys_sessions_end_with_the_admins_password(server, parley):
    server.on("DELETE /admin/sessions", replies.reply(200, {"users": 3, "sessions": 4, "api_keys": 0}))

    result = parley("admin", "end-sessions", "--all", "--yes", "--password-stdin", stdin="plover-quilt-93-harbor\n")

    assert result.stdout == "Sessions ended: 4. API keys revoked: 0. Users: 3.\n"
    assert server.requests[-1].body == {"revoke_api_keys": False, "password": "plover-quilt-93-harbor"}


def test_ending_sessions_asks_for_confirmation(server, parley):
    result = parley("admin", "end-sessions", "--all", "--revoke-api-keys", stdin="n\n")

    assert "End the sessions of all users and revoke their API keys?" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize("args", [[], ["bob@example.com", "--all"]])
def test_either_an_account_or_all_lose_their_sessions(server, parley, args):
    result = parley("admin", "end-sessions", *args, "--yes")

    assert (result.exit_code, "Give either an account or --all." in result.stderr) == (2, True)
    assert server.requests == []


@pytest.mark.parametrize("args", [["budget", "bob@example.com", "much"], ["role", "bob@example.com", "king"]])
def test_an_invalid_budget_or_role_is_a_usage_error(server, parley, args):
    assert parley("admin", *args).exit_code == 2
    assert server.requests == []


def test_only_the_new_invite_is_written_to_standard_output(server, parley):
    made = {"id": "i-1", "email": None, "expires_at": "2026-03-08T14:02:33Z", "invite": "abc"}
    server.on("POST /admin/invites", replies.reply(201, made))

    result = parley("admin", "invite")

    assert (result.stdout, server.requests[0].body) == ("abc\n", {})
    assert result.stderr.startswith("For any address, until 2026-03-08 14:02; it is not shown again.")


def test_an_invite_can_have_an_address_and_an_expiry_date(server, parley):
    server.on("POST /admin/invites", replies.reply(201, {"id": "i-1", "invite": "abc"}))

    parley("admin", "invite", "bob@example.com", "--expires", "2026-12-01")

    assert server.requests[0].body == {"email": "bob@example.com", "expires_at": "2026-12-01T00:00:00+00:00"}


def test_open_invites_are_listed_and_revoked(server, parley):
    made = {"id": BOB["id"], "email": "c@example.com", "created_at": "2026-03-01T14:02:33Z", "expires_at": "2026-03-08T14:02:33Z"}
    server.on("GET /admin/invites", listing(made))
    server.on(f"DELETE /admin/invites/{BOB['id']}", replies.reply(204))

    assert parley("admin", "invites").stdout.splitlines()[1] == "0000aaaa  c@example.com  2026-03-01 14:02  2026-03-08 14:02"
    assert parley("admin", "uninvite", "0000aaaa").stdout == "Revoked the invite for c@example.com\n"


def test_without_invites_it_says_how_to_create_one(server, parley):
    server.on("GET /admin/invites", listing())

    assert parley("admin", "invites").stdout == "No open invites. Create one: parley admin invite\n"


def used(user_id, cost_usd):
    return {"user_id": user_id, "model": "gpt", "day": None, "turns": 1200, "input_tokens": 10, "output_tokens": 5, "cost_usd": cost_usd}


def test_usage_shows_addresses_and_a_total(server, parley):
    server.on("GET /admin/usage", listing(used(BOB["id"], 1.5), used("gone-0190dead", 0.25)))

    result = parley("admin", "usage", "--by", "user,model", "--from", "2026-03-01", "--to", "2026-04-01")

    assert result.stdout.splitlines() == [
        "user             model  turns  tokens in  tokens out  cost",
        "bob@example.com  gpt    1,200  10         5           $1.5000",
        "0190dead         gpt    1,200  10         5           $0.2500",
        "total: 2,400 turns, 20 tokens in, 10 tokens out, $1.7500",
    ]
    assert server.lines[0] == "GET /admin/usage?limit=100&group_by=user%2Cmodel&from=2026-03-01&to=2026-04-01"


def test_usage_as_json_is_the_apis_json(server, parley):
    server.on("GET /admin/usage", listing(used("u-1", 1.5)))

    assert json.loads(parley("admin", "usage", "--json").stdout) == [used("u-1", 1.5)]


def test_a_period_without_usage_is_reported(server, parley):
    server.on("GET /admin/usage", listing())

    assert parley("admin", "usage").stdout == "No usage in this period.\n"


def test_a_user_who_is_not_an_admin_is_refused(server, parley):
    server.on("GET /admin/users", replies.problem(403, "forbidden", "You may not do that."))

    result = parley("admin", "users")

    assert (result.exit_code, result.stderr) == (1, "You may not do that.\nrequest req-1\n")
