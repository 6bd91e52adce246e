"""Sessions, the audit log, exports and account deletion, as their user sees them."""

import base64
import json
import urllib.request
from uuid import UUID

import pytest

from parley.jobs import OutboxJob
from tests.support.api_gateway import PASSWORD, Person


def events(auth, person):
    return [event["event"] for event in auth.get("/auth/audit", as_=person).json["items"]]


def test_every_session_is_listed_with_its_address(auth, alice):
    Person.signed_in(auth, alice.email)
    listed = auth.get("/auth/sessions", as_=alice).json["items"]

    assert [session["address"] for session in listed] == ["192.0.2.7"] * 2
    assert [session["id"] == alice.claims["sid"] for session in listed] == [session["current"] for session in listed] == [False, True]


def test_sessions_are_listed_in_pages(auth, alice):
    newer = Person.signed_in(auth, alice.email)
    first = auth.get("/auth/sessions?limit=1", as_=alice).json
    second = auth.get(f"/auth/sessions?limit=1&cursor={first['next_cursor']}", as_=alice).json

    assert [page["items"][0]["id"] for page in (first, second)] == [newer.claims["sid"], alice.claims["sid"]]
    assert second["next_cursor"] is None


def test_a_session_can_be_ended_from_another(auth, alice):
    other = Person.signed_in(auth, alice.email)
    assert auth.delete(f"/auth/sessions/{other.claims['sid']}", as_=alice).status == 204

    assert auth.get("/auth/me", as_=other).status == 401
    assert len(auth.get("/auth/sessions", as_=alice).json["items"]) == 1


def test_an_ended_session_is_not_found(auth, alice):
    other = Person.signed_in(auth, alice.email)
    answers = [auth.delete(f"/auth/sessions/{other.claims['sid']}", as_=alice).status for _ in range(2)]

    assert answers == [204, 404]


def test_the_audit_log_lists_events_newest_first(auth, alice):
    auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice)
    auth.post("/auth/logout", {"everywhere": True}, as_=alice)

    assert events(auth, Person.signed_in(auth, alice.email)) == ["login", "logout_everywhere", "api_key_made", "login", "registered"]


def test_the_audit_log_counts_wrong_passwords_before_a_login(auth, alice):
    for _ in range(3):
        auth.post("/auth/login", {"email": alice.email, "password": "not the pass phrase"})
    person = Person.signed_in(auth, alice.email)

    assert auth.get("/auth/audit?limit=1", as_=person).json["items"][0]["detail"]["failed_before"] == 3


def test_the_audit_log_names_address_and_user_agent(auth, alice):
    person = Person.of(
        alice.email,
        auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}, headers={"User-Agent": "Firefox\r\n{evil: 1}"}).json,
    )
    newest = auth.get("/auth/audit?limit=1", as_=person).json["items"][0]

    assert (newest["address"], newest["user_agent"]) == ("192.0.2.7", "Firefox\r\n{evil: 1}")


def test_a_reused_refresh_token_is_in_the_audit_log(auth, alice):
    token = alice.tokens["refresh_token"]
    for _ in range(2):
        token = auth.post("/auth/refresh", {"refresh_token": token}).json["refresh_token"]
    auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]})

    assert "refresh_token_reused" in events(auth, Person.signed_in(auth, alice.email))


def test_a_repeated_export_request_queues_one_export(auth, alice, queued):
    first, second = (auth.post("/auth/me/exports", as_=alice) for _ in range(2))

    assert (first.status, first.json["status"], first.json["url"]) == (202, "queued", None)
    assert second.json["id"] == first.json["id"]
    assert [(message.topic, message.subject_id) for message in queued()] == [("export", UUID(first.json["id"]))]


def test_a_ready_export_has_a_url(auth, alice, postgres):
    created = auth.post("/auth/me/exports", as_=alice).json
    postgres.execute(f"UPDATE exports SET status = 'ready', file_key = 'exports/x.json' WHERE id = '{created['id']}'", dbname="parley")
    url = auth.get(f"/auth/me/exports/{created['id']}", as_=alice).json["url"]

    assert "exports/x.json" in url
    assert "X-Amz-Expires=86400" in url
    assert urllib.request.Request(url).type == "https"


def test_deleting_an_account_disables_it_immediately(auth, alice, queued):
    assert auth.call("DELETE", "/auth/me", {"password": PASSWORD}, as_=alice).status == 202

    assert auth.get("/auth/me", as_=alice).status == 401
    assert auth.post("/auth/refresh", {"refresh_token": alice.tokens["refresh_token"]}).status == 401
    assert auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).status == 401
    assert [(type(message), message.topic) for message in queued()] == [(OutboxJob, "erase")]


def test_deleting_an_account_needs_the_password(auth, alice, queued):
    answer = auth.call("DELETE", "/auth/me", {"password": "not the pass phrase"}, as_=alice)

    assert (answer.status, answer.json["code"]) == (403, "wrong_password")
    assert queued() == []
    assert auth.get("/auth/me", as_=alice).status == 200


def test_a_job_that_cannot_be_sent_stays_in_the_outbox(auth, alice, monkeypatch, postgres):
    from parley.aws import sqs

    monkeypatch.setattr(sqs, "_sqs", lambda: (_ for _ in ()).throw(_refused()))
    assert auth.call("DELETE", "/auth/me", {"password": PASSWORD}, as_=alice).status == 202

    assert postgres.execute(f"SELECT topic FROM outbox WHERE user_id = '{alice.id}'", dbname="parley") == [("erase",)]


def _refused():
    from botocore.exceptions import EndpointConnectionError

    return EndpointConnectionError(endpoint_url="https://sqs.example.com")


@pytest.mark.parametrize("path", ["/auth/sessions", "/auth/audit", "/auth/api-keys"])
def test_an_invalid_cursor_is_refused(auth, alice, path):
    for cursor in ("x", "WzFd", "WyJ4Il0", "bnVsbA"):
        assert auth.get(f"{path}?cursor={cursor}", as_=alice).status == 422


@pytest.mark.parametrize(
    "values", [[None, "abcdefghijklmnop"], [None, [1] * 16], [None, None, None, None, 1.5], [None, None, None, None, 7]]
)
def test_a_cursor_in_another_uuid_spelling_is_refused(auth, alice, values):
    cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")

    assert [auth.get(f"/auth/{listed}?cursor={cursor}", as_=alice).status for listed in ("sessions", "audit", "api-keys")] == [422] * 3


def test_an_idle_session_is_not_listed(auth, alice, postgres):
    other = Person.signed_in(auth, alice.email)
    postgres.execute(f"UPDATE sessions SET last_used_at = now() - interval '31 days' WHERE id = '{other.claims['sid']}'", dbname="parley")

    assert [session["id"] for session in auth.get("/auth/sessions", as_=alice).json["items"]] == [alice.claims["sid"]]


def test_a_recent_export_is_returned_again_and_a_new_one_is_made_after_an_hour(auth, alice, postgres):
    first = auth.post("/auth/me/exports", as_=alice).json["id"]
    postgres.execute(f"UPDATE exports SET status = 'ready', ready_at = now(), file_key = 'x' WHERE id = '{first}'", dbname="parley")
    again = auth.post("/auth/me/exports", as_=alice).json["id"]
    postgres.execute(f"UPDATE exports SET ready_at = now() - interval '61 minutes' WHERE id = '{first}'", dbname="parley")

    assert again == first
    assert auth.post("/auth/me/exports", as_=alice).json["id"] != first
