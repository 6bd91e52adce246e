"""Turns and completions with an assistant: its settings, the caller's rights, and what remains when it is gone."""

from uuid import UUID, uuid4

import pytest

from functions.chat.errors import AssistantNotFound
from functions.chat.turn.events import SourceGiven, TurnWaiting
from parley.llm import messages as llm
from tests.functions.chat.statements import recorded_statements
from tests.support.api_gateway import Person
from tests.support.builders import add_document, add_memory
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import ScriptedProvider, make_services, take

SAFE = "The code of the safe is 4711."
BRIEF = {"name": "Reader", "instructions": "Answer briefly."}
QUESTION = "What is the code of the safe?"


@pytest.fixture
def provider():
    return ScriptedProvider([llm.TextDelta("It is so."), llm.Finished("stop", llm.Usage(10, 10))])


@pytest.fixture
def services(engine, provider):
    return make_services(engine, provider)


@pytest.fixture
def create(conversation, alice):
    """Return a function that creates an assistant of alice and returns its id."""
    return lambda **fields: UUID(conversation.post("/assistants", BRIEF | fields, as_=alice).json["id"])


@pytest.fixture
def group(auth, alice, bob):
    """A group of alice's that bob has joined."""
    group_id = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    auth.call("PUT", f"/auth/groups/{group_id}/members", {"email": bob.email}, as_=alice)
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).status == 200
    return group_id


@pytest.fixture
def share(conversation, group, alice):
    """Return a function that shares an assistant of alice's with the group, or by `DELETE` ends the share."""
    return lambda id, method="PUT": conversation.call(method, f"/assistants/{id}/shares", {"group_id": group}, as_=alice)


def sources(events):
    return [event for event in events if isinstance(event, SourceGiven)]


def test_a_turn_has_the_assistants_instructions_and_keeps_the_assistant(services, provider, conversation, create, alice):
    id = create()
    started = take(services, alice, assistant_id=id)[0]
    take(services, alice, conversation_id=started.conversation_id)
    stored = conversation.get(f"/conversations/{started.conversation_id}", as_=alice).json

    assert [request.system for request in provider.requests] == ["Answer briefly."] * 2
    assert (stored["assistant_id"], stored["assistant_version"]) == (str(id), 1)


def test_the_next_turn_uses_and_records_the_newest_version(services, provider, conversation, create, alice):
    id = create()
    started = take(services, alice, assistant_id=id)[0]
    conversation.patch(f"/assistants/{id}", {"instructions": "Answer at length."}, as_=alice)
    take(services, alice, conversation_id=started.conversation_id)

    assert provider.requests[-1].system == "Answer at length."
    assert conversation.get(f"/conversations/{started.conversation_id}", as_=alice).json["assistant_version"] == 2


def test_only_a_new_assistant_makes_a_conversation_forget_the_version_that_it_used(services, conversation, create, alice):
    started, other = take(services, alice, assistant_id=create())[0], create()
    path = f"/conversations/{started.conversation_id}"
    changed = [conversation.patch(path, body, as_=alice).json for body in ({"title": "Birds"}, {"assistant_id": str(other)})]

    assert [one["assistant_version"] for one in changed] == [1, None]


def test_the_assistants_model_answers_unless_the_request_names_one(services, create, alice):
    id = create(model="seeing")

    assert [take(services, alice, assistant_id=id, **named)[-1].model for named in ({}, {"model": "offline"})] == ["seeing", "offline"]


def test_an_assistants_model_that_is_gone_is_skipped(services, create, alice):
    assert take(services, alice, assistant_id=create(model="retired"))[-1].model == "offline"


def test_the_model_is_offered_the_assistants_tools_only(engine, create, alice):
    toolbox, provider = RecordingToolbox().add("calculator", lambda: "1").add("clock", lambda: "noon"), ScriptedRounds(DONE)
    take(make_services(engine, provider, toolbox=toolbox), alice, model="handy", tools=True, assistant_id=create(tools=["clock", "gone"]))

    assert [tool.name for tool in provider.requests[0].tools] == ["clock"]


def test_an_assistant_searches_its_documents_unless_the_question_names_others(engine, services, create, alice):
    safe, other = add_document(engine, alice, SAFE), add_document(engine, alice, "The code of the other safe is 0815.")
    id = create(documents=[str(safe)])
    found = [sources(take(services, alice, QUESTION, assistant_id=id, **named)) for named in ({}, {"documents": [other]})]

    assert [[source.document_id for source in one] for one in found] == [[safe], [other]]


def test_a_shared_assistant_gives_no_private_document_of_its_owner(engine, services, create, share, alice, bob):
    safe = add_document(engine, alice, SAFE)
    id = create(documents=[str(safe)])
    share(id)

    assert len(sources(take(services, alice, QUESTION, assistant_id=id))) == 1
    assert sources(take(services, bob, QUESTION, assistant_id=id)) == []


def test_a_shared_assistant_gives_a_document_that_the_caller_can_read(engine, documents, services, create, share, group, alice, bob):
    safe = add_document(engine, alice, SAFE)
    documents.call("PUT", f"/documents/{safe}/shares", {"group_id": group}, as_=alice)
    share(id := create(documents=[str(safe)]))

    assert [source.document_id for source in sources(take(services, bob, QUESTION, assistant_id=id))] == [safe]


def test_without_the_scope_an_assistant_searches_no_documents(engine, services, create, alice):
    id = create(documents=[str(add_document(engine, alice, SAFE))])
    key = Person(alice.email, {}, alice.claims | {"scope": "chat"})

    assert sources(take(services, key, QUESTION, assistant_id=id)) == []


def test_an_assistant_without_memory_neither_recalls_nor_remembers(engine, services, provider, create, alice, row):
    add_memory(engine, alice, "The safe is green.")
    started = take(services, alice, "What colour is the safe?", assistant_id=create(memory="none"))[0]

    assert provider.requests[-1].facts == ()
    assert row("SELECT is_incognito FROM conversations WHERE id = :id", id=started.conversation_id).is_incognito


@pytest.mark.parametrize(("who", "waits"), [("alice", False), ("bob", True)])
def test_instructions_of_another_user_make_writing_tools_wait_for_approval(engine, create, share, request, who, waits):
    share(id := create())
    toolbox = RecordingToolbox().add("send", lambda: "sent", writes=True)
    services = make_services(engine, ScriptedRounds(tool_calls_answer(("c1", "send", {})), DONE), toolbox=toolbox)
    events = take(services, request.getfixturevalue(who), model="handy", tools=True, assistant_id=id)

    assert isinstance(events[-1], TurnWaiting) is waits


def test_a_removed_member_no_longer_uses_the_assistant(auth, services, conversation, create, share, group, alice, bob):
    share(id := create())
    started = take(services, bob, assistant_id=id)[0]
    auth.call("DELETE", f"/auth/groups/{group}/members", {"email": bob.email}, as_=alice)

    with pytest.raises(AssistantNotFound):
        take(services, bob, conversation_id=started.conversation_id)
    assert len(conversation.get(f"/conversations/{started.conversation_id}/messages", as_=bob).json["items"]) == 2


def test_a_conversation_of_a_deleted_assistant_goes_on_without_it(chat, conversation, create, alice):
    id = create()
    asked = {"message": "Hello", "stream": False}
    begun = chat.post("/chat", asked | {"assistant_id": str(id)}, as_=alice).json["conversation_id"]
    conversation.delete(f"/assistants/{id}", as_=alice)
    refused = chat.post("/chat", asked | {"conversation_id": begun}, as_=alice)
    conversation.patch(f"/conversations/{begun}", {"assistant_id": None}, as_=alice)

    assert (refused.status, refused.json["code"]) == (404, "assistant_not_found")
    assert chat.post("/chat", asked | {"conversation_id": begun}, as_=alice).status == 200


def test_a_turn_without_an_assistant_makes_no_query_for_one(engine, services, alice):
    with recorded_statements(engine) as statements:
        take(services, alice)

    assert not [statement for statement in statements if "parley_assistants" in str(statement)]


def complete(chat, person, model, headers=None, text="Hello"):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return chat.post("/v1/chat/completions", body, as_=person, headers=headers or {})


def test_an_assistant_is_a_model_of_the_openai_api(chat, create, share, alice, bob):
    share(id := create(name="Contract reader"))
    model = f"assistant:{id}"
    listed = {one["id"]: one for one in chat.get("/v1/models", as_=bob).json["data"]}

    assert (listed[model]["kind"], listed[model]["name"]) == ("assistant", "Contract reader")
    assert chat.get(f"/v1/models/{model}", as_=bob).json == listed[model]
    assert complete(chat, bob, model).json["model"] == "offline"


def test_a_completion_quotes_the_assistants_documents_to_those_who_can_read_them(engine, chat, create, share, alice, bob):
    share(id := create(documents=[str(add_document(engine, alice, SAFE))]))
    answers = [complete(chat, person, f"assistant:{id}", text=QUESTION).json for person in (alice, bob)]

    assert ["4711" in answer["choices"][0]["message"]["content"] for answer in answers] == [True, False]


@pytest.mark.parametrize("headers", [{}, {"X-Conversation-Id": "new"}])
def test_an_unknown_assistant_is_a_404_of_the_openai_api(chat, alice, headers):
    answer = complete(chat, alice, f"assistant:{uuid4()}", headers)

    assert (answer.status, answer.json["error"]["code"]) == (404, "assistant_not_found")


def test_a_stored_conversation_of_the_openai_api_keeps_the_assistant(chat, conversation, create, alice):
    id = create()
    answer = complete(chat, alice, f"assistant:{id}", {"X-Conversation-Id": "new"})
    stored = conversation.get(f"/conversations/{answer.headers['x-conversation-id']}", as_=alice).json

    assert (answer.status, stored["assistant_id"]) == (200, str(id))
