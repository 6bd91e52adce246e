"""No user can reach another user's objects: every operation of the document, every position of an id, every kind of caller.

The cases come from the OpenAPI document, so new routes are covered automatically. A new kind of object needs a maker in
`object_makers.py`.
"""

import json
from dataclasses import dataclass, replace

import pytest

from parley.auth.principal import API_KEY_SCOPES
from parley.ids import new_id
from tests.contract.object_makers import (
    ADMIN_MAKERS_BY_COLLECTION,
    MAKERS_BY_COLLECTION,
    MAKERS_BY_FIELD,
    UNLISTED_COLLECTIONS,
    make_api_key,
)
from tests.contract.operations import DOCUMENT, operations
from tests.support.api_gateway import PASSWORD, Person

ALL = list(operations())
GUARDED = [one for one in ALL if one.is_guarded]
ADMINS = [one for one in GUARDED if one.is_admins]
USERS = [one for one in GUARDED if not one.is_admins]
# The models of the catalogue belong to no user.
OF_NO_USER = {"GET /v1/models/{id}"}
# `tests/functions/chat/responses_api/test_conversations.py` tests their second id.
WITH_ITEM_ID = {f"{method} /v1/conversations/{{id}}/items/{{item_id}}" for method in ("GET", "DELETE")}
WITH_PATH_ID = [one for one in USERS if one.has_path_id and str(one) not in OF_NO_USER]
WITH_FIELD_ID = [(one, place, name) for one in USERS for place, name in one.id_fields()]
# An admin's list of everybody's rows takes the id of any account, also of a deleted one.
FILTERS_OF_ADMINS = {"account_id", "actor_id"}
LISTS = [one for one in USERS if one.method == "GET" and not one.has_path_id]
PAGED = [one for one in USERS if "cursor" in one.query]
# The only operation for a token without scopes: logging it out.
WITHOUT_SCOPE = {"POST /auth/logout"}
# Operations without a transaction learn of an ended session only by the token's expiry; they return no user's data.
WITHOUT_SESSION = {"GET /models", "GET /v1/models/{id}"}
# The owner must also send the password.
WITH_PASSWORD = {"DELETE /auth/passkeys/{id}", "DELETE /admin/sessions"}
# Only what is shared can be unshared. The function that shares it, by operation.
ENDS_A_SHARE = {
    "DELETE /documents/{id}/shares": "documents",
    "DELETE /assistants/{id}/shares": "conversation",
    "DELETE /prompts/{id}/shares": "conversation",
}
# A turn's refusal tells which of the objects that it names is gone.
CODE_OF_FIELD = {("POST /chat", "assistant_id"): "assistant_not_found"}
KEPT_FROM_KEYS = [one for one in GUARDED if one.path.startswith(("/auth/", "/admin/", "/webhooks", "/schedules"))]
OPEN_TO_KEYS = [one for one in USERS if one not in KEPT_FROM_KEYS and str(one) not in WITHOUT_SESSION]


@dataclass(frozen=True)
class KeyHolder(Person):
    """A user who calls with an API key."""

    @classmethod
    def of_key(cls, owner, id):
        claims = {"sub": str(owner.id), "api_key_id": id, "scope": " ".join(API_KEY_SCOPES), "exp": owner.claims["exp"]}
        return cls(owner.email, {}, claims)

    def context(self):
        return {name: str(value) for name, value in self.claims.items()} | {"principalId": self.claims["sub"]}


@pytest.fixture(scope="module")
def functions(request):
    return {tag["name"]: request.getfixturevalue(tag["name"]) for tag in DOCUMENT["tags"]}


@pytest.fixture
def call(functions):
    """Send an operation's example as `person`, with this id in its path or these fields in its query or body."""

    def call(operation, as_, *, id="", query=None, body=None):
        return functions[operation.function].call(
            operation.method, operation.url(id, **(query or {})), operation.example(**(body or {})), as_=as_
        )

    return call


@pytest.fixture(scope="module")
def owner(functions):
    """A user with two objects of every kind, and the ids and texts that other users must not see."""
    person = Person.registered(functions["auth"])
    listed = [maker for collection, maker in MAKERS_BY_COLLECTION.items() if collection not in UNLISTED_COLLECTIONS]
    ids = [maker(functions, person) for maker in listed for _ in range(2)]
    # A second line of usage: the call is metered although the model's server is unreachable.
    functions["chat"].post("/chat", {"message": "hello", "model": "priced"}, as_=person)
    return person, [*ids, str(person.id), person.email, person.claims["sid"]]


def status_and_code(answer):
    """Return status and code; a code in OpenAI's format is translated to Parley's."""
    if "error" not in answer.json:
        return answer.status, answer.json["code"]
    error = answer.json["error"]
    code = error["details"]["error_code"] if "details" in error else error["code"]
    return answer.status, {"invalid_api_key": "unauthorized"}.get(code, code)


def same(answer):
    """Return the parts of a response that must be equal for different users: all except the request id."""
    return answer.status, answer.json | {"request_id": ""}


def own_fields(functions, operation, owner, id):
    """Make the objects of the owner that the operation names beside its path. What it unshares is shared first."""
    names = [name for place, name in operation.id_fields() if place == "body" and operation.has_path_id]
    fields = {name: MAKERS_BY_FIELD[name](functions, owner) for name in names}
    if str(operation) in ENDS_A_SHARE:
        assert functions[ENDS_A_SHARE[str(operation)]].call("PUT", operation.url(id), fields, as_=owner).status == 204
    return fields | ({"password": PASSWORD} if str(operation) in WITH_PASSWORD else {})


def test_every_variable_of_a_guarded_path_is_an_id_that_has_a_maker():
    makers = MAKERS_BY_COLLECTION | ADMIN_MAKERS_BY_COLLECTION
    guarded = [one for one in ALL if one.is_guarded]

    assert {one.collection for one in guarded if one.has_path_id and str(one) not in OF_NO_USER} - makers.keys() == set()
    others = [one for one in guarded if one.path.count("{") != one.path.count("{id}") or one.path.count("{") > 1]
    assert {str(one) for one in others} == WITH_ITEM_ID


def test_every_field_that_names_an_object_has_a_maker():
    assert {name for one in ALL for _, name in one.id_fields()} - MAKERS_BY_FIELD.keys() == FILTERS_OF_ADMINS


@pytest.mark.parametrize("operation", WITH_PATH_ID, ids=str)
def test_someone_elses_id_in_the_path_answers_as_a_missing_one(functions, call, alice, bob, operation):
    id = MAKERS_BY_COLLECTION[operation.collection](functions, alice)
    foreign, missing = call(operation, bob, id=id), call(operation, bob, id=new_id())

    assert same(foreign) == same(missing)
    assert status_and_code(foreign) == (404, "not_found")
    fields = own_fields(functions, operation, alice, id)
    assert call(operation, alice, id=id, body=fields).status < 300, "the owner could not do it either"


@pytest.mark.parametrize(("operation", "place", "name"), WITH_FIELD_ID, ids=str)
def test_someone_elses_id_in_query_or_body_answers_as_a_missing_one(functions, call, alice, bob, operation, place, name):
    id = MAKERS_BY_FIELD[name](functions, alice)
    hers, his = (MAKERS_BY_COLLECTION[operation.collection](functions, one) if operation.has_path_id else "" for one in (alice, bob))
    foreign, missing = (call(operation, bob, id=his, **{place: {name: one}}) for one in (id, new_id()))

    assert same(foreign) == same(missing)
    assert status_and_code(foreign) == (404, CODE_OF_FIELD.get((str(operation), name), "not_found"))
    if str(operation) in ENDS_A_SHARE:
        assert functions[ENDS_A_SHARE[str(operation)]].call("PUT", operation.url(hers), {name: id}, as_=alice).status == 204
    assert call(operation, alice, id=hers, **{place: {name: id}}).status < 300, "the owner could not do it either"


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_without_the_authorizers_word_nobody_is_let_in(call, operation):
    answer = call(operation, None, id=new_id())

    assert status_and_code(answer) == (401, "unauthorized")


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_an_expired_token_lets_nobody_in(call, alice, operation):
    answer = call(operation, replace(alice, claims=alice.claims | {"exp": "1"}), id=new_id())

    assert status_and_code(answer) == (401, "unauthorized")


@pytest.mark.parametrize("operation", [one for one in USERS if str(one) not in WITHOUT_SESSION], ids=str)
def test_a_session_that_has_ended_lets_nobody_in(functions, call, alice, operation):
    assert functions["auth"].post("/auth/logout", as_=alice).status == 204
    answer = call(operation, alice, id=new_id())

    assert status_and_code(answer) == (401, "unauthorized")


@pytest.mark.parametrize("operation", [one for one in USERS if str(one) not in WITHOUT_SESSION], ids=str)
def test_somebody_elses_session_proves_nothing(call, alice, bob, operation):
    answer = call(operation, replace(bob, claims=bob.claims | {"sid": alice.claims["sid"]}), id=new_id())

    assert status_and_code(answer) == (401, "unauthorized")


@pytest.mark.parametrize("operation", KEPT_FROM_KEYS, ids=str)
def test_an_api_key_opens_neither_account_nor_administration(functions, call, alice, operation):
    answer = call(operation, KeyHolder.of_key(alice, make_api_key(functions, alice)), id=new_id())

    assert status_and_code(answer) == (403, "forbidden")


@pytest.mark.parametrize("operation", OPEN_TO_KEYS, ids=str)
def test_a_revoked_api_key_lets_nobody_in(functions, call, alice, operation):
    id = make_api_key(functions, alice)
    assert functions["auth"].delete(f"/auth/api-keys/{id}", as_=alice).status == 204
    answer = call(operation, KeyHolder.of_key(alice, id), id=new_id())

    assert status_and_code(answer) == (401, "unauthorized")


@pytest.mark.parametrize("operation", [one for one in GUARDED if str(one) not in WITHOUT_SCOPE], ids=str)
def test_a_token_without_scopes_may_do_nothing(call, alice, operation):
    answer = call(operation, replace(alice, claims=alice.claims | {"scope": ""}), id=new_id())

    assert status_and_code(answer) == (403, "forbidden")


@pytest.mark.parametrize("operation", ADMINS, ids=str)
def test_what_admins_may_is_forbidden_to_everybody_else(functions, call, admin, bob, operation):
    id = ADMIN_MAKERS_BY_COLLECTION[operation.collection](functions, admin) if operation.has_path_id else ""
    answer = call(operation, bob, id=id)

    assert status_and_code(answer) == (403, "forbidden")


@pytest.mark.parametrize("operation", ADMINS, ids=str)
def test_who_only_claims_to_be_an_admin_is_forbidden_it(call, bob, operation):
    answer = call(operation, replace(bob, claims=bob.claims | {"scope": bob.claims["scope"] + " admin"}), id=new_id())

    assert status_and_code(answer) == (403, "forbidden")


@pytest.mark.parametrize("operation", ADMINS, ids=str)
def test_an_admin_may(functions, call, admin, bob, operation):
    maker = ADMIN_MAKERS_BY_COLLECTION.get(operation.collection)
    id = maker(functions, bob if operation.collection == "/admin/users" else admin) if operation.has_path_id else ""
    proof = {"password": PASSWORD} if str(operation) in WITH_PASSWORD else {}

    assert call(operation, admin, id=id, body=proof).status < 300


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_what_a_user_sees_holds_nothing_of_another(call, owner, bob, operation):
    _, secrets = owner
    answer = call(operation, bob)

    assert answer.status == 200
    assert [secret for secret in secrets if secret in answer.body.decode()] == []


def test_the_owner_sees_what_nobody_else_does(call, owner):
    person, secrets = owner
    seen = "".join(call(operation, person).body.decode() for operation in LISTS)

    assert [secret for secret in secrets if secret not in seen] == []


@pytest.mark.parametrize("operation", PAGED, ids=str)
def test_another_users_cursor_shows_nothing_of_theirs(functions, call, owner, bob, operation):
    person, secrets = owner
    theirs, mine = (MAKERS_BY_COLLECTION[operation.collection](functions, one) if operation.has_path_id else "" for one in (person, bob))
    cursor = call(operation, person, id=theirs, query={"limit": 1}).json["next_cursor"]
    assert cursor, "the owner has only one page"
    answer = call(operation, bob, id=mine, query={"cursor": cursor})

    assert answer.status == 200
    assert [secret for secret in [*secrets, theirs or cursor] if secret in json.dumps(answer.json)] == []
