"""Web hooks: their routes, their secrets, and their limit."""

import pytest

HOOK = {"url": "https://example.com/hook", "events": ["turn.waiting_for_approval", "budget.warning", "budget.warning"]}


@pytest.fixture
def add(served, alice):
    """Add a web hook of alice and return the answer."""
    return lambda key="first": served.post("/webhooks", HOOK, as_=alice, headers={"Idempotency-Key": key})


def listed(served, person):
    return served.get("/webhooks", as_=person).json["items"]


def test_only_the_first_response_has_the_secret(served, add, alice):
    made, again = add(), add()

    assert (made.status, made.json["secret"][:6], again.json["id"], again.json.get("secret")) == (201, "whsec_", made.json["id"], None)
    assert [(hook["id"], hook["events"]) for hook in listed(served, alice)] == [(made.json["id"], HOOK["events"][:2])]
    assert made.json["secret"] not in str(listed(served, alice))


def test_the_database_cannot_read_the_secret(add, postgres):
    made = add().json
    (stored,) = postgres.execute(f"SELECT secret FROM webhooks WHERE id = '{made['id']}'")[0]

    assert made["secret"].encode() not in bytes(stored)


def test_a_user_has_at_most_ten_web_hooks(add):
    statuses = [add(f"key {number}") for number in range(11)]

    assert [made.status for made in statuses] == [201] * 10 + [409]
    assert statuses[-1].json["code"] == "too_many_webhooks"


def test_a_web_hook_is_disabled_and_enabled_again(served, add, alice):
    path = f"/webhooks/{add().json['id']}"
    disabled = served.call("PATCH", path, {"enabled": False}, as_=alice).json
    enabled = served.call("PATCH", path, {"enabled": True, "events": ["budget.warning"]}, as_=alice).json

    assert (disabled["disabled_at"] is None, enabled["disabled_at"], enabled["events"]) == (False, None, ["budget.warning"])


def test_a_new_secret_is_shown_once_too(served, add, alice):
    made = add().json
    rotated = served.post(f"/webhooks/{made['id']}/rotate-secret", as_=alice).json

    assert rotated["id"] == made["id"]
    assert rotated["secret"] != made["secret"]


def test_a_deleted_web_hook_is_gone(served, add, alice):
    path = f"/webhooks/{add().json['id']}"

    assert served.call("DELETE", path, as_=alice).status == 204
    assert (listed(served, alice), served.get(f"{path}/deliveries", as_=alice).status) == ([], 404)


@pytest.mark.parametrize("wrong", [{"url": "ftp://example.com/"}, {"events": []}, {"events": ["everything"]}])
def test_a_web_hook_that_could_never_work_is_refused(served, alice, wrong):
    assert served.post("/webhooks", HOOK | wrong, as_=alice).status == 422
