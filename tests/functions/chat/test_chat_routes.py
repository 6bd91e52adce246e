import json
import re

import pytest

from parley.http.streaming import RESPONSE_END
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.router import RetryPolicy
from tests.fakes.circuits import MemoryCircuits
from tests.support.api_gateway import rest_event


@pytest.fixture(autouse=True)
def no_circuit_or_retry(chat, monkeypatch):
    """Close all circuits and wait for no retry, so that a failing vendor in one test does not affect the next."""
    from functions.chat.app import services

    monkeypatch.setattr(services.router, "breaker", CircuitBreaker(MemoryCircuits()))
    monkeypatch.setattr(services.router, "retry_policy", RetryPolicy(first_pause_s=0.0))


def test_a_stream_has_the_turns_numbered_events(chat, alice):
    answer = chat.post("/chat", {"message": "hello"}, as_=alice)
    names = [name for name, _ in answer.events]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (names[0], set(names[1:-1]), names[-1]) == ("turn.started", {"text.delta"}, "turn.completed")
    assert answer.body.startswith(b"id: 1\n")
    assert f"id: {len(names)}\n".encode() in answer.body


def test_no_proxy_may_transform_a_stream(chat, alice):
    assert "no-transform" in chat.post("/chat", {"message": "hello"}, as_=alice).headers["cache-control"]


def test_the_terminal_event_has_the_contracts_fields(chat, alice):
    _, data = chat.post("/chat", {"message": "hello"}, as_=alice).events[-1]

    assert set(data) == {"message_id", "finish_reason", "usage", "model", "timings", "retrieval"}
    assert set(data["usage"]) == {"input_tokens", "output_tokens", "cost_usd"}
    assert set(data["timings"]) == {"first_token_ms", "total_ms", "model_ms"}


def test_a_whole_answer_tells_its_own_cost_and_the_models(chat, alice):
    answer = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)

    assert re.fullmatch(r"parley;dur=[\d.]+, model;dur=[\d.]+", answer.headers["server-timing"])


@pytest.mark.parametrize("is_streamed", [True, False])
def test_follow_up_jobs_are_queued_after_the_response(chat, alice, monkeypatch, is_streamed):
    from functions.chat.app import services

    queued = []
    monkeypatch.setattr(type(services.memory_queue), "send_entries", lambda self, entries: queued.extend(entries))
    chunks = chat.handler(rest_event("POST", "/chat", {"message": "hello", "stream": is_streamed}, as_=alice, headers={}), chat.CONTEXT)
    while next(chunks) != RESPONSE_END:
        assert queued == []
    list(chunks)

    assert [entry.topic for entry in queued] == ["remember", "title"]


def test_without_streaming_the_answer_is_one_document(chat, alice):
    streamed = chat.post("/chat", {"message": "hello"}, as_=alice)
    answer = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)

    assert set(answer.json) == {
        "turn_id",
        "conversation_id",
        "status",
        "message",
        "usage",
        "sources",
        "tool_results",
        "approvals",
        "questions",
    }
    assert answer.json["message"]["text"] == streamed.text


def test_a_named_conversation_has_its_history(chat, conversation, alice):
    first = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json
    chat.post("/chat", {"message": "two", "conversation_id": first["conversation_id"]}, as_=alice)
    found = conversation.get(f"/conversations/{first['conversation_id']}/messages", as_=alice).json["items"]

    assert [(m["seq"], m["role"]) for m in found] == [(1, "user"), (2, "assistant"), (3, "user"), (4, "assistant")]
    assert (found[0]["text"], found[2]["text"]) == ("one", "two")


def test_a_foreign_conversation_is_a_problem_document_even_on_a_stream(chat, alice, bob):
    mine = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json
    answer = chat.post("/chat", {"message": "let me in", "conversation_id": mine["conversation_id"]}, as_=bob)

    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_vendor_that_is_down_fails_the_turn_in_the_stream(chat, alice):
    name, data = chat.post("/chat", {"message": "hello", "model": "priced"}, as_=alice).events[-1]

    assert (name, data["code"], data["status"], data["retryable"]) == ("turn.failed", "provider_failed", 502, True)


def test_a_vendor_that_is_down_is_a_502_without_streaming(chat, alice):
    answer = chat.post("/chat", {"message": "hello", "model": "priced", "stream": False}, as_=alice)

    assert (answer.status, answer.json["code"]) == (502, "provider_failed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": 3},
        {"message": "x", "conversation_id": "not-an-id"},
        {"message": "x", "temperature": 9},
        {"message": "x", "max_output_tokens": 0},
        {"message": "x", "user_id": "someone"},
        {"message": "nul \u0000"},
        {"message": "x", "images": ["data:image/png;base64,AA=="]},
        {"message": "x", "documents": "all"},
        {"message": "x", "documents": ["not-an-id"]},
    ],
)
def test_an_invalid_request_is_422_and_stores_nothing(chat, conversation, alice, body):
    answer = chat.post("/chat", body, as_=alice)

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert conversation.get("/conversations", as_=alice).json["items"] == []


def test_the_contracts_example_is_accepted(chat, alice):
    body = {
        "message": "What is 12.5% of 840?",
        "conversation_id": None,
        "model": None,
        "tools": True,
        "documents": False,
        "stream": True,
        "max_output_tokens": None,
        "temperature": None,
        "images": [],
        "response_format": None,
        "incognito": False,
        "wait": False,
    }

    assert chat.post("/chat", body, as_=alice).events[-1][0] == "turn.completed"


def test_text_of_any_script_comes_back_as_it_was_sent(chat, conversation, alice):
    message = "naïve 👩‍👩‍👧‍👦 日本語 \u202eright-to-left\u202c </script> '; DROP TABLE users; --"
    answer = chat.post("/chat", {"message": message, "stream": False}, as_=alice).json
    found = conversation.get(f"/conversations/{answer['conversation_id']}/messages", as_=alice).json["items"]

    assert found[0]["text"] == message


def test_the_available_models_are_listed(chat, alice):
    found = {model["id"]: model for model in chat.get("/models", as_=alice).json}

    assert set(found) == {"offline", "priced", "seeing"}
    shown = {"id": "offline", "provider": "offline", "context_tokens": 2000, "abilities": [], "default": True}
    assert found["offline"] == shown | {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0, "roles": ["chat"]}
    assert (found["priced"]["output_usd_per_mtok"], found["priced"]["roles"]) == (10.0, [])


def test_a_users_default_model_answers_unless_another_is_named(auth, chat, alice):
    auth.patch("/auth/me", {"default_model": "priced"}, as_=alice)

    assert chat.post("/chat", {"message": "hello"}, as_=alice).events[0][1]["model"] == "priced"


def test_a_request_without_an_authorizer_is_refused(chat):
    assert chat.post("/chat", {"message": "hello"}).status == 401


def test_malformed_json_is_400(chat, alice):
    assert chat.post("/chat", json.dumps({"message": "x"})[:-1], as_=alice).json["code"] == "malformed_body"


def test_the_document_shows_the_message_as_the_list_does(chat, conversation, alice):
    answer = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json
    listed = conversation.get(f"/conversations/{answer['conversation_id']}/messages", as_=alice).json["items"]

    assert answer["message"] == listed[-1]


def test_nul_in_a_message_to_a_known_conversation_is_refused_before_the_database_sees_it(chat, alice):
    answer = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json
    answer = chat.post("/chat", {"message": "nul \u0000", "conversation_id": answer["conversation_id"]}, as_=alice)

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body"])
