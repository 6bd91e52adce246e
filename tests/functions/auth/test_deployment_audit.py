"""The audit of the deployment over HTTP, and its export as JSON lines."""

import json
from uuid import UUID

import boto3
import pytest

from functions.auth.admin_schemas import DeploymentEventOut
from parley.clock import utc_now
from parley.db.accounts.deployment_audit import DeploymentEvent
from parley.ids import new_id
from parley.jobs import OutboxJob
from tests.support.api_gateway import PASSWORD, Person
from tests.support.builders import upload_document


@pytest.fixture
def rows(auth, admin):
    """Return a function that lists the rows of the audit with these filters."""

    def rows(**filters):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return auth.get(f"/admin/audit?limit=100&{query}", as_=admin).json["items"]

    return rows


def actions(found):
    return [(row["actor"], row["action"], row["outcome"]) for row in found]


def test_a_users_acts_are_listed_newest_first(auth, rows, alice):
    key = auth.post("/auth/api-keys", {"name": "my secret plan", "password": PASSWORD}, as_=alice).json
    auth.delete(f"/auth/api-keys/{key['id']}", as_=alice)
    found = rows(account_id=alice.id)

    names = ["api_key_revoked", "api_key_made", "login", "registered"]
    assert actions(found) == [("user", name, "done") for name in names]
    assert {row["actor_id"] for row in found} == {str(alice.id)}
    assert {row["network"] for row in found} == {"192.0.2.0/24"}
    assert [row["detail"] for row in found[:2]] == [{"api_key_id": key["id"]}] * 2


def test_a_wrong_password_is_listed_with_the_account_if_there_is_one(auth, rows, alice):
    # Without the period, the failed logins of tests that move the clock ahead would come first.
    period = {"from": utc_now().isoformat().replace("+00:00", "Z")}
    auth.post("/auth/login", {"email": alice.email, "password": "not the pass phrase"})
    auth.post("/auth/login", {"email": "nobody@example.com", "password": "not the pass phrase"})

    assert actions(rows(account_id=alice.id))[0] == ("stranger", "login_failed", "refused")
    assert [row["account_id"] for row in rows(action="login_failed", **period)] == [None, str(alice.id)]


def test_an_admins_acts_name_the_admin_and_the_account(auth, rows, admin, alice):
    auth.patch(f"/admin/users/{alice.id}", {"monthly_budget_usd": 3}, as_=admin)
    invite = auth.post("/admin/invites", {"email": "secret@example.com"}, as_=admin).json
    auth.delete(f"/admin/invites/{invite['id']}", as_=admin)
    found = rows(actor_id=admin.id)[:3]

    assert [row["action"] for row in found] == ["invite_withdrawn", "invite_made", "changed_by_admin"]
    assert [row["account_id"] for row in found] == [None, None, str(alice.id)]
    assert found[2]["detail"] == {"changes": {"monthly_budget_usd": 3.0}}
    assert "admin_id" not in str(auth.get("/auth/audit", as_=alice).json)


def test_a_group_a_link_and_a_share_are_listed(auth, conversation, documents, chat, rows, alice):
    id = chat.post("/chat", {"message": "Hello", "stream": False}, as_=alice).json["conversation_id"]
    link = conversation.post(f"/conversations/{id}/links", {"audience": "public"}, as_=alice).json
    conversation.delete(f"/links/{link['id']}", as_=alice)
    group = auth.post("/auth/groups", {"name": "Secret"}, as_=alice).json
    found = rows(account_id=alice.id)

    assert [row["action"] for row in found[:3]] == ["group_founded", "link_revoked", "link_shared"]
    assert [row["detail"] for row in found[:2]] == [{"group_id": group["id"]}, {"link_id": link["id"]}]


def test_changed_settings_and_mcp_servers_are_listed_without_their_texts(auth, tools, rows, alice):
    auth.patch("/auth/me", {"display_name": "Secret", "memory_enabled": False}, as_=alice)
    tools.call("PUT", "/tools/search_documents", {"enabled": False}, as_=alice)
    server = tools.post("/tools/mcp-servers", {"name": "secret", "url": "https://mcp.example.com/mcp"}, as_=alice).json
    tools.delete(f"/tools/mcp-servers/{server['id']}", as_=alice)
    found = rows(account_id=alice.id)[:4]

    assert [(row["action"], row["detail"]) for row in found] == [
        ("mcp_server_removed", {"server_id": server["id"]}),
        ("mcp_server_added", {"server_id": server["id"]}),
        ("tool_settings_changed", {"tool": "search_documents", "changes": {"is_enabled": False}}),
        ("settings_changed", {"fields": ["display_name", "memory_enabled"]}),
    ]


def test_an_import_and_a_shared_assistant_are_listed_without_their_names(auth, conversation, documents, rows, alice):
    wanted = {"filename": "my secrets.zip", "bytes": 1000}
    id = documents.post("/conversations/imports", wanted, as_=alice).json["id"]
    group = auth.post("/auth/groups", {"name": "Secret"}, as_=alice).json["id"]
    assistant = conversation.post("/assistants", {"name": "Secret", "instructions": "Hide."}, as_=alice).json["id"]
    for method in ("PUT", "DELETE"):
        conversation.call(method, f"/assistants/{assistant}/shares", {"group_id": group}, as_=alice)
    shared = {"assistant_id": assistant, "group_id": group}
    found = [(row["action"], row["detail"]) for row in rows(account_id=alice.id)[:4]]

    expected = [("assistant_unshared", shared), ("assistant_shared", shared), ("group_founded", {"group_id": group})]
    assert found == [*expected, ("import_announced", {"import_id": id})]


def test_a_shared_prompt_and_shares_with_everybody_are_listed(auth, conversation, rows, admin):
    group = auth.post("/auth/groups", {"name": "Secret"}, as_=admin).json["id"]
    prompt = conversation.post("/prompts", {"name": "secret", "text": "Hide."}, as_=admin).json["id"]
    for method in ("PUT", "DELETE"):
        conversation.call(method, f"/prompts/{prompt}/shares", {"group_id": group}, as_=admin)
    for is_shared in (True, False):
        conversation.patch(f"/prompts/{prompt}", {"shared": is_shared}, as_=admin)
    found = [(row["action"], row["detail"]) for row in rows(account_id=admin.id)[:4]]

    everybody, members = {"prompt_id": prompt, "audience": "everybody"}, {"prompt_id": prompt, "group_id": group}
    assert found[:2] == [("prompt_unshared", everybody), ("prompt_shared", everybody)]
    assert found[2:] == [("prompt_unshared", members), ("prompt_shared", members)]


def test_an_assistant_and_a_document_for_everybody_are_listed(conversation, documents, rows, admin):
    assistant = conversation.post("/assistants", {"name": "Secret", "instructions": "Hide."}, as_=admin).json["id"]
    document = upload_document(documents, admin).json["id"]
    conversation.patch(f"/assistants/{assistant}", {"shared": True}, as_=admin)
    documents.patch(f"/documents/{document}", {"shared": True}, as_=admin)
    documents.patch(f"/documents/{document}", {"shared": False}, as_=admin)
    found = [(row["action"], row["detail"]) for row in rows(account_id=admin.id)[:3]]
    conversation.delete(f"/assistants/{assistant}", as_=admin)  # other tests list the assistants for everybody

    everybody = {"document_id": document, "audience": "everybody"}
    assert found[:2] == [("document_unshared", everybody), ("document_shared", everybody)]
    assert found[2] == ("assistant_shared", {"assistant_id": assistant, "audience": "everybody"})


def test_pages_follow_each_other_without_gaps(auth, admin, alice):
    Person.signed_in(auth, alice.email)
    path, found, cursor = f"/admin/audit?account_id={alice.id}&limit=1", [], ""
    while cursor is not None:
        page = auth.get(path + (f"&cursor={cursor}" if cursor else ""), as_=admin).json
        found, cursor = [*found, *page["items"]], page["next_cursor"]

    assert [row["action"] for row in found] == ["login", "login", "registered"]


def test_the_period_is_chosen(rows, alice):
    assert rows(**{"account_id": alice.id, "from": "2000-01-01", "to": "2001-01-01"}) == []
    assert len(rows(**{"account_id": alice.id, "from": "2000-01-01"})) == 2


def test_a_row_of_an_actor_that_a_newer_release_added_is_shown():
    row = DeploymentEvent(new_id(), utc_now(), "robot_moved", "robot", None, None, None, "done", {})

    assert DeploymentEventOut.model_validate(row).actor == "robot"


@pytest.fixture
def exported(auth, upkeep, postgres):
    """Request an export of the audit as an admin, run its job, and return the answer about it."""

    def exported(admin, before=lambda: None):
        id = auth.post("/admin/audit/exports", as_=admin).json["id"]
        (entry,) = postgres.execute(f"SELECT id FROM outbox WHERE subject_id = '{id}'", dbname="parley")[0]
        before()
        upkeep.deliver(OutboxJob(topic="export", user_id=admin.id, entry_id=entry, subject_id=UUID(id)))
        return auth.get(f"/auth/me/exports/{id}", as_=admin)

    return exported


def test_an_export_has_a_row_per_line(exported, rows, environment, admin, alice):
    key = f"exports/{admin.id}/{exported(admin).json['id']}.jsonl"
    body = boto3.client("s3").get_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key)["Body"].read()
    lines = [json.loads(line) for line in body.splitlines()]

    assert [line["action"] for line in lines if line["account_id"] == str(alice.id)] == ["login", "registered"]
    assert lines[0].keys() == rows()[0].keys()


def test_who_is_no_admin_when_the_export_is_written_gets_no_file(exported, postgres, admin):
    demote = lambda: postgres.execute(f"UPDATE users SET role = 'user' WHERE id = '{admin.id}'", dbname="parley")  # noqa: E731

    assert exported(admin, demote).json["status"] == "failed"


def test_an_export_of_the_audit_is_not_taken_for_one_of_the_account(auth, exported, admin):
    audit = exported(admin).json["id"]

    assert auth.post("/auth/me/exports", as_=admin).json["id"] != audit
