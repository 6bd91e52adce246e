"""The prompts of a user's library as prompts of our MCP server, for the official client."""

import pytest
from mcp.types import PromptReference

from parley.db.assistants import prompts
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


def listed(client, person):
    async def read(session):
        return {prompt.name: prompt for prompt in (await session.list_prompts()).prompts}

    return client(read, person)


def got(client, person, name, arguments):
    return client(lambda session: session.get_prompt(name, arguments), person)


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


def test_of_prompts_with_the_same_name_the_users_own_is_taken_and_else_the_oldest(client, auth, alice, bob, write, postgres):
    shared = f"('{write(bob, text='First.')}', '{write(alice, text='Second.')}')"
    postgres.execute(f"UPDATE prompts SET is_shared = true WHERE id IN {shared}", dbname="parley")
    texts = [got(client, person, "trip", {}).messages[0].content.text for person in (alice, Person.registered(auth))]
    postgres.execute(f"DELETE FROM prompts WHERE id IN {shared}", dbname="parley")

    assert texts == ["Second.", "First."]
