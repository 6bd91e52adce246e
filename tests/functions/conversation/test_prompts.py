"""The library of prompts: variables, names, versions, and who may use a prompt for how long."""

import pytest

from tests.support.api_gateway import Person

TEXT = "Plan {{nights:number}} nights in {{city}}, in a {{tone:choice(formal, friendly)}} tone."
VALUES = {"nights": "2", "city": "Porto", "tone": "formal"}


@pytest.fixture
def write(conversation, alice):
    """Return a function that stores a prompt of alice's and returns it."""

    def write(name="trip", text=TEXT, person=alice, **fields):
        made = conversation.post("/prompts", {"name": name, "text": text} | fields, as_=person)
        assert made.status == 201, made.body
        return made.json

    return write


@pytest.fixture
def group(auth, alice, bob):
    """A group of alice's that bob has joined."""
    group_id = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": bob.email}, as_=alice)
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).status == 200
    return group_id


@pytest.fixture
def shared(conversation, write, group, alice):
    """A prompt of alice's, shared with the group."""
    id = write()["id"]
    assert conversation.call("PUT", f"/prompts/{id}/shares", {"group_id": group}, as_=alice).status == 204
    return id


def listed(conversation, person):
    return [item["id"] for item in conversation.get("/prompts", as_=person).json["items"]]


def change(conversation, prompt_id, person, **fields):
    return conversation.patch(f"/prompts/{prompt_id}", fields, as_=person)


def filled(conversation, prompt_id, person, values):
    return conversation.post(f"/prompts/{prompt_id}/fill", {"values": values}, as_=person)


def test_a_prompt_shows_its_text_and_its_variables(conversation, write, alice):
    made = write(description="A short trip.")

    assert conversation.get(f"/prompts/{made['id']}", as_=alice).json == made
    assert made["variables"][1:] == [
        {"name": "city", "type": "text", "choices": []},
        {"name": "tone", "type": "choice", "choices": ["formal", "friendly"]},
    ]
    assert (made["text"], made["description"], made["version"], made["is_own"], made["owner"]) == (TEXT, "A short trip.", 1, True, None)


def test_a_list_has_the_variables_without_the_texts(conversation, write, alice):
    made = write()
    made.pop("text")

    assert conversation.get("/prompts", as_=alice).json["items"] == [made]


def test_values_are_filled_in(conversation, write, alice):
    answer = filled(conversation, write()["id"], alice, VALUES)

    assert answer.json == {"text": "Plan 2 nights in Porto, in a formal tone."}


def test_a_value_that_does_not_suit_its_variable_is_refused_at_its_place(conversation, write, alice):
    refused = filled(conversation, write()["id"], alice, VALUES | {"nights": "two"})

    assert (refused.status, refused.json["errors"]) == (422, [{"loc": ["body", "values", "nights"], "msg": "must be a number"}])


@pytest.mark.parametrize(
    "field",
    [
        *({"name": name} for name in ("Trip", "/trip", "a b", "", "x" * 41)),
        *({"text": text} for text in ("{{City}}", "", "x" * 16_001)),
        {"description": "x" * 301},
    ],
)
def test_fields_out_of_bounds_are_refused(conversation, write, alice, field):
    assert conversation.post("/prompts", {"name": "trip", "text": "x"} | field, as_=alice).status == 422
    assert change(conversation, write()["id"], alice, **field).status == 422


def test_a_user_has_a_name_once(conversation, write, alice, bob):
    first, second = write(), write(name="other")
    write(person=bob)
    refused = [
        conversation.post("/prompts", {"name": "trip", "text": "x"}, as_=alice),
        change(conversation, second["id"], alice, name="trip"),
    ]

    assert [(one.status, one.json["code"]) for one in refused] == [(409, "prompt_name_taken")] * 2
    assert change(conversation, first["id"], alice, name="trip").json == first


def test_a_change_of_the_text_is_a_new_version_and_one_of_the_name_is_not(conversation, write, alice):
    id = write(text="one")["id"]
    change(conversation, id, alice, text="two")
    changed = change(conversation, id, alice, name="travel", text="two").json
    versions = conversation.get(f"/prompts/{id}/versions", as_=alice).json["items"]

    assert (changed["name"], changed["version"], changed["text"]) == ("travel", 2, "two")
    assert [(one["version"], one["text"]) for one in versions] == [(2, "two"), (1, "one")]


def test_a_change_of_the_text_leaves_the_description(conversation, write, alice):
    made = write(description="A short trip.")
    changed = change(conversation, made["id"], alice, text="Plan a day.").json

    assert (changed["text"], changed["description"]) == ("Plan a day.", "A short trip.")


def test_a_rollback_is_a_new_version_and_changes_no_old_one(conversation, write, alice):
    id = write(text="one")["id"]
    change(conversation, id, alice, text="two")
    restored = conversation.post(f"/prompts/{id}/rollback", {"version": 1}, as_=alice).json
    versions = conversation.get(f"/prompts/{id}/versions", as_=alice).json["items"]

    assert (restored["version"], restored["text"]) == (3, "one")
    assert [one["text"] for one in versions] == ["one", "two", "one"]


def test_a_private_prompt_is_nobody_elses(conversation, write, bob):
    id = write()["id"]

    assert listed(conversation, bob) == []
    assert filled(conversation, id, bob, VALUES).status == 404


def test_a_member_uses_a_shared_prompt_but_cannot_change_it(conversation, shared, group, alice, bob):
    shown = conversation.get(f"/prompts/{shared}", as_=bob).json
    attempts = [
        change(conversation, shared, bob, text="Mine"),
        conversation.post(f"/prompts/{shared}/rollback", {"version": 1}, as_=bob),
        conversation.get(f"/prompts/{shared}/versions", as_=bob),
        conversation.get(f"/prompts/{shared}/shares", as_=bob),
        conversation.call("DELETE", f"/prompts/{shared}/shares", {"group_id": group}, as_=bob),
        conversation.delete(f"/prompts/{shared}", as_=bob),
    ]

    assert (listed(conversation, bob), shown["is_own"], shown["owner"]["email"]) == ([shared], False, alice.email)
    assert filled(conversation, shared, bob, VALUES).status == 200
    assert {attempt.status for attempt in attempts} == {404}


def test_a_removed_member_loses_the_prompt(auth, conversation, shared, group, alice, bob):
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice)

    assert (listed(conversation, bob), filled(conversation, shared, bob, VALUES).status) == ([], 404)


def test_a_prompt_that_is_no_longer_shared_is_lost_to_the_group(conversation, shared, group, alice, bob):
    named = [one["group_id"] for one in conversation.get(f"/prompts/{shared}/shares", as_=alice).json["items"]]
    conversation.call("DELETE", f"/prompts/{shared}/shares", {"group_id": group}, as_=alice)

    assert (named, listed(conversation, bob), listed(conversation, alice)) == ([group], [], [shared])


def test_a_prompt_of_a_disabled_account_is_not_offered(conversation, shared, alice, bob, postgres):
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert listed(conversation, bob) == []


@pytest.fixture
def admin_alice(alice):
    """Alice while she is an admin."""
    return Person(alice.email, {}, alice.claims | {"scope": f"{alice.claims['scope']} admin"})


def test_only_an_admin_shares_with_everybody(conversation, write, alice, admin_alice, bob):
    id = write()["id"]

    assert change(conversation, id, alice, shared=True).status == 403
    assert change(conversation, id, admin_alice, shared=True).json["shared"]
    assert listed(conversation, bob) == [id]
    change(conversation, id, admin_alice, shared=False)
    assert listed(conversation, bob) == []


def test_an_owner_who_is_no_admin_any_more_can_only_end_the_share_with_everybody(conversation, write, alice, admin_alice, bob):
    id = write()["id"]
    change(conversation, id, admin_alice, text="Mine.")
    change(conversation, id, admin_alice, shared=True)
    back = conversation.post(f"/prompts/{id}/rollback", {"version": 1}, as_=alice)

    assert (change(conversation, id, alice, text="Other.").status, back.status) == (403, 403)
    assert conversation.get(f"/prompts/{id}", as_=bob).json["version"] == 2
    assert change(conversation, id, alice, shared=False).status == 200
    assert change(conversation, id, alice, text="Other.").json["version"] == 3


def test_a_user_has_up_to_200_prompts(conversation, write, alice, postgres):
    rows = f"SELECT '{alice.id}', gen_random_uuid(), 'prompt-' || n FROM generate_series(1, 199) n"
    postgres.execute(f"INSERT INTO prompts (user_id, id, name) {rows}")
    write()
    refused = conversation.post("/prompts", {"name": "other", "text": "x"}, as_=alice)

    assert (refused.status, refused.json["code"]) == (409, "too_many_prompts")
