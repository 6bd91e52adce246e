"""The prompts of a user's library as prompts of our MCP server, for the official client."""

from uuid import UUID

import pytest
from mcp.types import PromptReference

from parley.db.assistants import prompts
from parley.db.groups import shares
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.functions.tools.mcp_client import completed, narrowed
from tests.support.api_gateway import Person

TEXT = "Plan {{nights:number}} nights in {{city}}, in a {{tone:choice(formal, friendly)}} tone."


@pytest.fixture
def write(engine):
    """Return a function that stores a prompt of a person and returns its id."""

    def write(person, name="trip", text=TEXT):
        prompt_id = new_id()
        with user_scope(engine, person.id) as connection:
            prompts.add(connection, prompt_id, user_id=person.id, name=name, description="Plans a trip.", text=text)
        return prompt_id

    return write


@pytest.fixture
def reader(auth):
    """A user without prompts."""
    return Person.registered(auth)


@pytest.fixture
def share(auth, engine, alice, bob, reader):
    """Return a function that shares a prompt with a group of alice, bob and the reader."""
    group_id = auth.post("/auth/groups", {"name": "Travel"}, as_=alice).json["id"]
    for person in (bob, reader):
        auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": person.email}, as_=alice)
        assert auth.post(f"/auth/groups/{group_id}/join", as_=person).status == 200

    def share(owner, prompt_id):
        with user_scope(engine, owner.id) as connection:
            shares.add(connection, shares.PROMPTS, prompt_id, UUID(group_id), user_id=owner.id)

    return share


def listed(client, person):
    async def read(session):
        return {prompt.name: prompt for prompt in (await session.list_prompts()).prompts}

    return client(read, person)


def got(client, person, name, arguments):
    return client(lambda session: session.get_prompt(name, arguments), person)


def text_of(client, person):
    (message,) = got(client, person, "trip", {}).messages
    return message.content.text


def test_a_prompt_of_the_library_is_offered_with_its_variables_as_arguments(client, alice, write):
    write(alice)
    prompt = listed(client, alice)["trip"]

    assert prompt.description == "Plans a trip."
    described = [(argument.name, argument.description) for argument in prompt.arguments]
    assert described == [("nights", "A number"), ("city", "A text"), ("tone", "One of: formal, friendly")]


def test_a_prompt_of_the_library_is_filled_in(client, alice, write):
    write(alice)
    found = got(client, alice, "trip", {"nights": "2", "city": "Porto", "tone": "formal"})

    assert [message.content.text for message in found.messages] == ["Plan 2 nights in Porto, in a formal tone."]


@pytest.mark.parametrize("arguments", [{}, {"nights": "two", "city": "Porto", "tone": "formal"}])
def test_an_argument_that_does_not_suit_its_variable_is_an_error(client, alice, write, arguments):
    write(alice)
    error = got(client, alice, "trip", arguments).error

    assert (error.code, error.message.partition(":")[0]) == (-32602, "nights")


def test_a_choice_is_completed(client, alice, write):
    write(alice)
    reference = PromptReference(name="trip")

    assert completed(client, alice, reference, "tone", "F") == ["formal", "friendly"]
    assert completed(client, alice, reference, "city", "Po") == []
    assert completed(client, alice, reference, "country", "") == -32602


def test_somebody_elses_prompt_is_neither_offered_nor_filled_in(client, alice, bob, write):
    write(bob)

    assert "trip" not in listed(client, alice)
    assert got(client, alice, "trip", {}).error.code == -32602


def test_prompts_of_the_library_need_the_scope_of_conversations(client, alice, write):
    write(alice)
    person = narrowed(alice, "tools documents")

    assert "trip" not in listed(client, person)
    assert got(client, person, "trip", {}).error.code == -32602


def test_a_built_in_prompt_keeps_its_name(client, alice, write):
    write(alice, name="recall", text="Mine.")

    assert [argument.name for argument in listed(client, alice)["recall"].arguments] == ["topic"]
    assert "past conversations" in got(client, alice, "recall", {"topic": "x"}).messages[0].content.text


def test_the_users_own_prompt_and_else_the_only_one_of_everybody_is_meant(client, alice, bob, reader, write, share, postgres):
    share(alice, write(alice, text="Of alice."))
    shared = write(bob, text="Of everybody.")
    postgres.execute(f"UPDATE prompts SET is_shared = true WHERE id = '{shared}'", dbname="parley")
    texts = [text_of(client, person) for person in (alice, bob, reader)]
    postgres.execute(f"DELETE FROM prompts WHERE id = '{shared}'", dbname="parley")

    assert texts == ["Of alice.", "Of everybody.", "Of everybody."]


def test_the_users_own_prompts_are_listed_before_newer_ones_of_others(client, alice, bob, write, share, monkeypatch):
    monkeypatch.setattr("functions.tools.mcp_endpoint.prompt_library.MAX_LISTED", 1)
    write(alice, name="mine")
    share(bob, write(bob, name="theirs"))
    names = listed(client, alice).keys()

    assert ("mine" in names, "theirs" in names) == (True, False)


def test_a_member_does_not_replace_a_prompt_by_an_older_one_with_its_name(client, alice, bob, reader, write, share):
    older = write(alice, text="Older.")
    share(bob, write(bob, text="In use."))
    assert text_of(client, reader) == "In use."
    share(alice, older)

    assert got(client, reader, "trip", {}).error.code == -32602
    assert "trip" not in listed(client, reader)
    assert text_of(client, bob) == "In use."
