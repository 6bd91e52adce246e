from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from functions.auth.admin import change_account
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import administration
from parley.db.transactions import global_scope
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import closing_engine, meet_after, outcomes

MOMENT = timedelta(microseconds=1)
SOMETHING = "01890a5d-ac96-774b-bcce-b302099a8057"
ROUTES = [
    ("GET", "/admin/users"),
    ("PATCH", f"/admin/users/{SOMETHING}"),
    ("GET", "/admin/usage"),
    ("GET", "/admin/feedback"),
    ("GET", "/admin/audit"),
    ("POST", "/admin/audit/exports"),
    ("POST", "/admin/invites"),
    ("GET", "/admin/invites"),
    ("DELETE", f"/admin/invites/{SOMETHING}"),
    ("DELETE", f"/admin/users/{SOMETHING}/sessions"),
    ("DELETE", "/admin/sessions"),
]


def change(auth, admin, person, **fields):
    return auth.patch(f"/admin/users/{person.id}", fields, as_=admin)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_admins_may_call_admin_routes(auth, alice, method, path):
    assert auth.call(method, path, {}, as_=alice).status == 403


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_former_admin_is_refused_whatever_the_token_says(auth, admin, postgres, method, path):
    postgres.execute(f"UPDATE users SET role = 'user' WHERE id = '{admin.id}'", dbname="parley")

    assert auth.call(method, path, {}, as_=admin).status == 403


def test_accounts_can_be_filtered_by_a_part_of_their_address(auth, admin, alice, bob):
    found = auth.get(f"/admin/users?email={alice.email[:12].upper()}", as_=admin).json["items"]

    assert [account["id"] for account in found] == [str(alice.id)]
    assert found[0].keys() == {"id", "email", "display_name", "role", "disabled", "monthly_budget_usd", "created_at"}


def test_the_pages_of_accounts_go_on_where_they_ended(auth, admin, alice, bob):
    first = auth.get("/admin/users?email=@&limit=1", as_=admin).json
    second = auth.get(f"/admin/users?email=@&limit=1&cursor={first['next_cursor']}", as_=admin).json

    assert second["items"][0]["id"] < first["items"][0]["id"]


def test_the_address_filter_is_not_a_pattern(auth, admin, alice):
    assert all("%" in account["email"] for account in auth.get("/admin/users?email=%25&limit=100", as_=admin).json["items"])


def test_disabling_an_account_is_immediate_and_reversible(auth, admin, alice):
    assert change(auth, admin, alice, disabled=True).json["disabled"] is True
    shut = [auth.get("/auth/me", as_=alice).status, auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status]
    change(auth, admin, alice, disabled=False)

    assert shut == [401, 401]
    assert auth.get("/auth/me", as_=Person.signed_in(auth, alice.email)).status == 200


def test_enabling_an_account_restores_no_session(auth, admin, alice):
    change(auth, admin, alice, disabled=True)
    change(auth, admin, alice, disabled=False)

    assert auth.get("/auth/me", as_=alice).status == 401


def test_a_new_admin_can_act_after_the_next_login(auth, admin, alice):
    change(auth, admin, alice, role="admin")

    assert auth.get("/admin/users", as_=Person.signed_in(auth, alice.email)).status == 200


@pytest.mark.parametrize("fields", [{"disabled": True}, {"role": "user"}])
def test_an_admin_cannot_lock_themselves_out(auth, admin, fields):
    assert change(auth, admin, admin, **fields).json["code"] == "own_account"


def test_a_budget_can_be_set_and_reset(auth, admin, alice):
    assert change(auth, admin, alice, monthly_budget_usd=12.5).json["monthly_budget_usd"] == 12.5

    assert change(auth, admin, alice, monthly_budget_usd=None).json["monthly_budget_usd"] is None


@pytest.mark.parametrize("fields", [{"monthly_budget_usd": -1}, {"role": "root"}, {"email": "x@example.com"}, {"disabled": None}])
def test_invalid_account_changes_are_refused(auth, admin, alice, fields):
    assert change(auth, admin, alice, **fields).status == 422


def test_a_change_by_an_admin_is_in_the_users_audit_log(auth, admin, alice):
    change(auth, admin, alice, monthly_budget_usd=1.0)
    newest = auth.get("/auth/audit?limit=1", as_=alice).json["items"][0]

    assert (newest["event"], newest["detail"]) == ("changed_by_admin", {"changes": {"monthly_budget_usd": 1.0}})


def test_an_unknown_account_is_not_found(auth, admin):
    assert auth.patch(f"/admin/users/{uuid4()}", {"disabled": True}, as_=admin).status == 404
    assert auth.patch(f"/admin/users/{uuid4()}", {}, as_=admin).status == 404


def test_usage_adds_up_by_user_and_model(auth, chat, admin, alice):
    for _ in range(2):
        assert chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).status == 200
    lines = auth.get("/admin/usage?group_by=model,user&limit=100", as_=admin).json["items"]
    (line,) = [line for line in lines if line["user_id"] == str(alice.id)]

    assert (line["turns"], line["model"] is None, line["day"]) == (2, False, None)


def test_usage_covers_the_requested_period(auth, chat, admin, alice):
    chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)

    assert auth.get("/admin/usage?from=2020-01-01&to=2020-02-01", as_=admin).json == {"items": [], "next_cursor": None}


def test_usage_comes_in_pages(auth, chat, admin, alice, bob):
    for person in (alice, bob):
        chat.post("/chat", {"message": "hello", "stream": False}, as_=person)
    first = auth.get("/admin/usage?limit=1", as_=admin).json
    second = auth.get(f"/admin/usage?limit=1&cursor={first['next_cursor']}", as_=admin).json

    assert first["items"] != second["items"]
    assert len(second["items"]) == 1


@pytest.mark.parametrize(
    "query", ["group_by=secret", "group_by=", "from=yesterday", "to=x", "cursor=WyJ4Il0", "cursor=Wy0xXQ", "group_by=user,user,x"]
)
def test_an_invalid_usage_query_is_refused(auth, admin, query):
    assert auth.get(f"/admin/usage?{query}", as_=admin).status == 422


def test_the_most_expensive_usage_comes_first_and_each_group_once(auth, chat, admin, alice, bob, postgres):
    for person, cost_usd in ((alice, 900_000), (bob, 800_000)):
        chat.post("/chat", {"message": "hello", "stream": False}, as_=person)
        postgres.execute(f"UPDATE usage SET cost_usd = {cost_usd} WHERE user_id = '{person.id}'", dbname="parley")
    first = auth.get("/admin/usage?limit=1", as_=admin).json
    second = auth.get(f"/admin/usage?limit=1&cursor={first['next_cursor']}", as_=admin).json
    postgres.execute(f"DELETE FROM usage WHERE user_id IN ('{alice.id}', '{bob.id}')", dbname="parley")

    assert [item["user_id"] for item in first["items"] + second["items"]] == [str(alice.id), str(bob.id)]


def test_an_invite_is_valid_for_seven_days_unless_the_admin_chooses_another_end(auth, admin, clock):
    expires_at = auth.post("/admin/invites", {}, as_=admin).json["expires_at"]

    assert datetime.fromisoformat(expires_at) == datetime.now(UTC) + timedelta(days=7)


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(timedelta(0), 422), (MOMENT, 201), (timedelta(days=90), 201), (timedelta(days=90) + MOMENT, 422)],
)
def test_an_invite_ends_in_the_next_ninety_days(auth, admin, clock, ahead, status):
    answer = auth.post("/admin/invites", {"expires_at": (datetime.now(UTC) + ahead).isoformat()}, as_=admin)

    assert answer.status == status


def test_open_invites_are_listed_without_their_codes(auth, admin):
    created = auth.post("/admin/invites", {"email": "new@example.com"}, as_=admin).json
    listed = auth.get("/admin/invites", as_=admin).json["items"]

    assert {name: value for name, value in created.items() if name != "invite"} in listed
    assert all("invite" not in item for item in listed)


def test_a_repeated_invite_request_returns_the_same_invite_without_its_code(auth, admin):
    first, again = (auth.post("/admin/invites", {}, as_=admin, headers={"Idempotency-Key": "k1"}).json for _ in range(2))

    assert (first.pop("invite") is not None, again.pop("invite")) == (True, None)
    assert first == again
    assert [item["id"] for item in auth.get("/admin/invites", as_=admin).json["items"]].count(first["id"]) == 1


def test_an_idempotency_key_of_another_invite_is_refused(auth, admin):
    auth.post("/admin/invites", {}, as_=admin, headers={"Idempotency-Key": "k2"})
    answer = auth.post("/admin/invites", {"email": "new@example.com"}, as_=admin, headers={"Idempotency-Key": "k2"})

    assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")


def test_of_two_admins_who_demote_each_other_one_remains(auth, admin, alice, database, monkeypatch):
    change(auth, admin, alice, role="admin")
    meet_after(monkeypatch, administration, "is_admin")

    def demote(by, other):
        with closing_engine(database, role="background") as engine, global_scope(engine) as connection:
            return change_account(connection, by.principal, other.id, {"role": "user"}, origin=ClientOrigin("192.0.2.7"))

    results = outcomes([partial(demote, admin, alice), partial(demote, alice, admin)])
    assert sorted(type(result).__name__ for result in results) == ["Account", "Forbidden"]


def rated_answer(chat, conversation, person, **body):
    asked = {"message": "What is the secret?", "model": "offline", "stream": False}
    id = chat.post("/chat", asked, as_=person).json["message"]["id"]
    assert conversation.call("PUT", f"/messages/{id}/feedback", body, as_=person).status == 200


def test_admins_read_ratings_and_reasons_without_the_conversation(auth, conversation, chat, admin, alice):
    rated_answer(chat, conversation, alice, rating="bad", reason="Too long.")
    listed = auth.get("/admin/feedback?rating=bad&limit=100", as_=admin)
    (item,) = [item for item in listed.json["items"] if item["user_id"] == str(alice.id)]

    assert {name: item[name] for name in ("rating", "reason", "model")} == {"rating": "bad", "reason": "Too long.", "model": "offline"}
    assert "secret" not in str(listed.json)


def test_pages_of_ratings_show_every_rating_once(auth, conversation, chat, admin, alice):
    for _ in range(3):
        rated_answer(chat, conversation, alice, rating="good")
    found, cursor = [], ""
    while cursor is not None:
        page = auth.get(f"/admin/feedback?rating=good&limit=2{cursor and '&cursor=' + cursor}", as_=admin).json
        found += [item["message_id"] for item in page["items"] if item["user_id"] == str(alice.id)]
        cursor = page["next_cursor"]

    assert len(found) == len(set(found)) == 3
