"""Accounts over real HTTP, with the gateway, queue, mail and bucket of the running stack."""

import re

import pytest

from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import wait_until

NEW = "quite another sentence to remember"


@pytest.fixture
def code_to(stack):
    """Wait for a mail to an address and return the code in it."""

    def code_to(address):
        mails = wait_until(lambda: stack.http.get("/_local/mail", params={"to": address}).json()["items"])
        return re.search(r"^\s*([\w-]{43})\s*$", mails[0]["text"], re.MULTILINE)[1]

    return code_to


def test_a_forgotten_password_is_set_anew_by_the_mailed_code(stack, ada, code_to):
    assert stack.http.post("/auth/password/forgot", json={"email": ada.email}).status_code == 202
    reset = {"email": ada.email, "code": code_to(ada.email), "new_password": NEW}
    assert stack.http.post("/auth/password/reset", json=reset).status_code == 204

    assert ada.get("/auth/me").status_code == 401
    assert stack.http.post("/auth/login", json={"email": ada.email, "password": NEW}).status_code == 200


def test_an_address_changes_by_the_code_that_went_to_it(ada, code_to):
    new_email = f"new-{ada.email}"
    assert ada.post("/auth/email", {"password": PASSWORD, "new_email": new_email}).status_code == 202
    assert ada.post("/auth/email/confirm", {"code": code_to(new_email)}).status_code == 204

    assert ada.get("/auth/me").json()["email"] == new_email


def test_an_export_can_be_fetched_by_its_address(stack, ada):
    ada.post("/chat", {"message": "remember the canary", "stream": False})
    asked = ada.post("/auth/me/exports").json()
    url = wait_until(lambda: ada.get(f"/auth/me/exports/{asked['id']}").json()["url"])

    assert "remember the canary" in stack.http.get(url).text


def test_a_deleted_account_is_gone_within_a_minute(stack, ada):
    ada.post("/chat", {"message": "forget me", "stream": False})
    assert stack.http.request("DELETE", "/auth/me", json={"password": PASSWORD}, headers=ada.headers).status_code == 202
    assert ada.get("/auth/me").status_code == 401

    assert wait_until(lambda: stack.http.post("/auth/register", json={"email": ada.email, "password": PASSWORD}).status_code == 201)


def test_an_api_key_opens_conversations_but_neither_account_nor_administration(stack, ada):
    key = ada.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}).json()["key"]
    answers = [stack.http.get(path, headers={"Authorization": f"Bearer {key}"}) for path in ("/conversations", "/auth/me", "/admin/users")]

    assert [answer.status_code for answer in answers] == [200, 403, 403]


def test_a_revoked_api_key_is_dead_although_the_gateway_has_its_verdict_cached(stack, ada):
    made = ada.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert stack.http.get("/conversations", headers=headers).status_code == 200
    stack.http.delete(f"/auth/api-keys/{made['id']}", headers=ada.headers)

    assert stack.http.get("/conversations", headers=headers).status_code == 401


def test_the_signing_keys_are_rotated_without_signing_anybody_out(stack, ada):
    rotated = stack.parley("keys", "rotate", "--port", str(stack.port))

    assert rotated.returncode == 0, rotated.stderr
    assert ada.get("/auth/me").status_code == 200
    assert stack.register().get("/auth/me").status_code == 200


def test_the_document_of_the_api_is_public(stack):
    document = stack.http.get("/openapi.json").json()

    assert (document["openapi"][:3], "/auth/login" in document["paths"]) == ("3.1", True)
    assert stack.http.get("/docs").headers["content-type"].startswith("text/html")
