"""Functions take the caller's identity from the authorizer's context only."""

from tests.support.api_gateway import rest_event

SPOOFED = ["X-User-Id", "X-Amzn-Oidc-Identity", "X-Principal-Id", "X-Forwarded-User", "X-Authorizer-Sub", "Authorization"]


def test_headers_that_name_another_user_are_ignored(conversation, alice, bob):
    headers = dict.fromkeys(SPOOFED, str(bob.id)) | {"X-Amzn-Request-Context": f'{{"authorizer": {{"sub": "{bob.id}"}}}}'}
    created = conversation.post("/conversations", {}, as_=alice, headers=headers).json["id"]

    assert conversation.get(f"/conversations/{created}", as_=alice).status == 200
    assert conversation.get(f"/conversations/{created}", as_=bob, headers=headers).status == 404


def test_a_body_that_names_another_user_is_refused(conversation, alice, bob):
    for name in ("user_id", "owner", "sub", "principal", "tenant_id", "role"):
        assert conversation.post("/conversations", {name: str(bob.id)}, as_=alice).status == 422


def test_a_query_that_names_another_user_changes_nothing(conversation, alice, bob):
    conversation.post("/conversations", {}, as_=bob)

    assert conversation.get(f"/conversations?user_id={bob.id}", as_=alice).json["items"] == []


def test_without_the_authorizers_context_every_request_is_unauthorized(conversation, alice):
    event = rest_event("GET", "/conversations", None, as_=None, headers={"Authorization": f"Bearer {alice.tokens['access_token']}"})

    assert conversation.invoke(event).status == 401
