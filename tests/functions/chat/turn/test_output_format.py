"""The `response_format` of a turn."""

from dataclasses import replace

import pytest

from parley.llm.catalogue import Catalogue
from parley.llm.messages import OutputSchema
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

CITY_SCHEMA = OutputSchema("place", {"type": "object", "properties": {"city": {"type": "string"}}})
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY_SCHEMA.schema, "strict": True}}
MODELS = """
[roles]
chat = "neat"
[models.neat]
provider = "offline"
name = "neat"
abilities = ["json"]
"""


def test_the_schema_goes_to_the_model_of_each_try(engine, alice):
    provider = ScriptedProvider(HELLO)
    services = replace(make_services(engine, provider), catalogue=lambda: Catalogue.parse(MODELS, source="test"))
    started, *_ = take(services, alice, output=CITY_SCHEMA)
    take(services, alice, "", conversation_id=started.conversation_id, is_regeneration=True, output=CITY_SCHEMA)
    take(services, alice, conversation_id=started.conversation_id)

    assert [request.output for request in provider.requests] == [CITY_SCHEMA, CITY_SCHEMA, None]


@pytest.mark.parametrize(("model", "status"), [("seeing", 200), ("offline", 422)])
@pytest.mark.parametrize("wanted", [RESPONSE_FORMAT, {"type": "json_object"}])
def test_a_model_without_the_ability_is_refused(chat, alice, model, status, wanted):
    answer = chat.post("/chat", {"message": "where?", "model": model, "response_format": wanted, "stream": False}, as_=alice)

    assert answer.status == status
    assert answer.json.get("code") == (None if status == 200 else "model_cannot")


def test_plain_text_needs_no_ability(chat, alice):
    assert chat.post("/chat", {"message": "hello", "response_format": {"type": "text"}, "stream": False}, as_=alice).status == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "yaml"},
        {"type": "json_schema"},
        {"type": "text", "json_schema": RESPONSE_FORMAT["json_schema"]},
        {"type": "json_schema", "json_schema": {"name": "two words", "schema": {}}},
    ],
)
def test_an_invalid_format_is_refused(chat, alice, wanted):
    answer = chat.post("/chat", {"message": "hello", "response_format": wanted}, as_=alice)

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")


def test_a_regeneration_may_use_a_schema(chat, alice):
    made = chat.post("/chat", {"message": "where?", "model": "seeing", "stream": False}, as_=alice).json
    body = {"conversation_id": made["conversation_id"], "model": "seeing", "response_format": RESPONSE_FORMAT, "stream": False}

    assert chat.post("/chat/regenerate", body, as_=alice).status == 200


def test_an_openai_client_may_request_a_format_in_a_stored_conversation(chat, alice):
    body = {"model": "seeing", "messages": [{"role": "user", "content": "where?"}], "response_format": RESPONSE_FORMAT}

    assert chat.post("/v1/chat/completions", body, as_=alice, headers={"X-Conversation-Id": "new"}).status == 200
