import base64
import json
import struct
import time

import pytest

from functions.chat.openai_api import embeddings
from tests.support.api_gateway import rest_event

HELLO = {"model": "offline", "messages": [{"role": "user", "content": "hello"}]}


def complete(chat, person, **fields):
    return chat.post("/v1/chat/completions", HELLO | fields, as_=person)


def chunks(answer):
    """Return the data of each event."""
    return [line.removeprefix("data: ") for line in answer.body.decode().split("\n\n") if line]


def test_an_unstreamed_answer_is_a_completion(chat, alice):
    answer = complete(chat, alice).json

    assert (answer["object"], answer["model"], answer["id"][:9]) == ("chat.completion", "offline", "chatcmpl-")
    assert [(one["index"], one["finish_reason"]) for one in answer["choices"]] == [(0, "stop")]
    assert "hello" in answer["choices"][0]["message"]["content"]


def test_usage_adds_up(chat, alice):
    usage = complete(chat, alice).json["usage"]

    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}


def test_a_stream_has_the_same_answer_in_chunks_and_ends_with_done(chat, alice):
    whole = complete(chat, alice).json["choices"][0]["message"]["content"]
    answer = complete(chat, alice, stream=True)
    *events, last = chunks(answer)
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (deltas[0], deltas[-1], last) == ({"role": "assistant", "content": ""}, {}, "[DONE]")
    assert "".join(delta.get("content", "") for delta in deltas) == whole


def test_a_stream_has_its_usage_on_request(chat, alice):
    *events, last, _ = map(json.loads, [*chunks(complete(chat, alice, stream=True, stream_options={"include_usage": True}))[:-1], "0"])

    assert {event["usage"] for event in events} == {None}
    assert (last["choices"], last["usage"]["completion_tokens"] > 0) == ([], True)


def test_a_stop_sequence_ends_the_answer_before_it(chat, alice):
    answer = complete(chat, alice, stop=["offline model"]).json["choices"][0]

    assert (answer["message"]["content"], answer["finish_reason"]) == ("I am Parley's ", "stop")


def test_a_limit_ends_the_answer_by_length(chat, alice):
    answer = complete(chat, alice, max_tokens=2).json["choices"][0]

    assert (answer["message"]["content"], answer["finish_reason"]) == ("I am ", "length")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "owner", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": []}, "functions"),
        ({"audio": {"voice": "ash"}}, "audio"),
        ({"max_tokens": 10.5}, "max_tokens"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_unsupported_fields_are_refused_by_name(chat, alice, fields, param):
    answer = complete(chat, alice, **fields)

    assert (answer.status, answer.json["error"]["type"], answer.json["error"]["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    "fields",
    [
        *({"n": 1}, {"n": 1.0}, {"user": "me"}, {"seed": 7}, {"metadata": {"a": "b"}}, {"top_p": 1}, {"stop": None}),
        *({"store": True}, {"prediction": None}, {"audio": None}, {"functions": None}, {"function_call": "auto"}),
        *({"max_tokens": 100.0}, {"reasoning_effort": "low"}, {"verbosity": "low"}, {"top_k": -1}, {"parallel_tool_calls": False}),
    ],
)
def test_fields_without_effect_are_accepted(chat, alice, fields):
    assert complete(chat, alice, **fields).status == 200


def test_an_unknown_model_is_a_404_that_names_the_known(chat, alice):
    answer = complete(chat, alice, model="gpt-99")

    assert (answer.status, answer.json["error"]["code"], answer.json["error"]["param"]) == (404, "model_not_found", "model")
    assert "offline" in answer.json["error"]["message"]


def test_a_prompt_that_does_not_fit_is_a_400_as_openai_says_it(chat, alice):
    answer = complete(chat, alice, messages=[{"role": "user", "content": "word " * 5000}])

    assert (answer.status, answer.json["error"]["code"]) == (400, "context_length_exceeded")


def test_a_body_that_is_not_json_is_an_error_in_openais_format(chat, alice):
    answer = chat.post("/v1/chat/completions", "{", as_=alice)

    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_that_is_too_large_is_an_error_in_openais_format(chat, alice):
    answer = chat.post("/v1/chat/completions", "x" * (4 * 1024 * 1024 + 1), as_=alice)

    assert (answer.status, answer.json["error"]["code"]) == (413, "body_too_large")


def test_a_missing_token_is_a_401_in_openais_format(chat):
    answer = chat.post("/v1/chat/completions", HELLO)

    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")


def test_a_vendor_that_is_down_is_a_502_for_a_stream_too(chat, alice):
    answer = complete(chat, alice, model="priced", stream=True)

    assert (answer.status, answer.json["error"]["type"]) == (502, "server_error")


def test_the_models_are_listed_with_the_embedding_models(chat, alice):
    listed = chat.get("/v1/models", as_=alice).json

    assert {"offline": "offline", "lexical": "offline"}.items() <= {one["id"]: one["owned_by"] for one in listed["data"]}.items()


def embed(chat, person, **fields):
    return chat.post("/v1/embeddings", {"model": "lexical", "input": "hello"} | fields, as_=person)


def test_each_text_gets_a_vector_of_the_catalogues_length(chat, alice):
    answer = embed(chat, alice, input=["one", "two"]).json

    assert [(one["index"], len(one["embedding"])) for one in answer["data"]] == [(0, 16), (1, 16)]
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_base64_holds_the_same_numbers(chat, alice):
    numbers = embed(chat, alice).json["data"][0]["embedding"]
    packed = embed(chat, alice, encoding_format="base64").json["data"][0]["embedding"]

    assert struct.unpack("<16f", base64.b64decode(packed)) == pytest.approx(numbers)


@pytest.mark.parametrize(
    "fields", [{"input": []}, {"input": ""}, {"input": [-1, 2]}, {"input": [[]]}, {"dimensions": 8}, {"input": "x " * 500}]
)
def test_input_that_cannot_be_embedded_is_refused(chat, alice, fields):
    assert embed(chat, alice, **fields).status == 400


def embed_with_key(chat, person, **fields):
    body = {"model": "lexical", "input": ["one", "two"]} | fields
    return chat.post("/v1/embeddings", body, as_=person, headers={"Idempotency-Key": "k1"})


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_repeated_embeddings_are_the_same_and_charged_once(chat, alice, row, encoding):
    first, again = (embed_with_key(chat, alice, encoding_format=encoding) for _ in range(2))

    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert calls_of(row, alice) == 1


def test_a_key_is_for_one_request_of_embeddings(chat, alice):
    embed_with_key(chat, alice)

    assert embed_with_key(chat, alice, input="other").json["error"]["code"] == "idempotency_key_reused"


def test_embeddings_that_are_too_large_to_store_are_refused_with_a_key_only(chat, alice, monkeypatch):
    monkeypatch.setattr(embeddings, "MAX_STORED_NUMBERS", 32)
    texts = ["one", "two", "three"]
    answer = embed_with_key(chat, alice, input=texts)

    assert (answer.status, answer.json["error"]["param"]) == (400, "input")
    assert "at most 2 texts for this model; send smaller batches" in answer.json["error"]["message"]
    assert embed(chat, alice, input=texts).status == 200


def test_a_chat_model_does_not_embed(chat, alice):
    assert embed(chat, alice, model="offline").json["error"]["message"].endswith("Available models: lexical.")


def test_with_the_header_the_last_message_is_a_turn_of_a_new_conversation(chat, conversation, alice):
    answer = chat.post("/v1/chat/completions", HELLO, as_=alice, headers={"X-Conversation-Id": "new"})
    found = conversation.get(f"/conversations/{answer.headers['x-conversation-id']}/messages", as_=alice).json["items"]

    assert [(one["role"], one["text"]) for one in found] == [
        ("user", "hello"),
        ("assistant", answer.json["choices"][0]["message"]["content"]),
    ]


def test_a_named_conversation_continues_and_streams(chat, conversation, alice):
    id = chat.post("/chat", {"message": "first", "stream": False}, as_=alice).json["conversation_id"]
    answer = chat.post("/v1/chat/completions", HELLO | {"stream": True}, as_=alice, headers={"X-Conversation-Id": id})

    assert (answer.headers["x-conversation-id"], chunks(answer)[-1]) == (id, "[DONE]")
    assert len(conversation.get(f"/conversations/{id}/messages", as_=alice).json["items"]) == 4


def test_a_key_gives_a_stored_conversation_the_first_answer_again(chat, conversation, alice):
    headers = {"X-Conversation-Id": "new", "Idempotency-Key": "k1"}
    first, again = (chat.post("/v1/chat/completions", HELLO, as_=alice, headers=headers) for _ in range(2))

    assert first.headers["x-conversation-id"] == again.headers["x-conversation-id"]
    assert first.json["choices"] == again.json["choices"]
    assert len(conversation.get("/conversations", as_=alice).json["items"]) == 1


@pytest.mark.parametrize("other", [{"body": HELLO | {"max_tokens": 5}}, {"id": "01996f6a-0000-7000-8000-000000000009"}])
def test_a_key_is_for_one_body_and_one_conversation(chat, alice, other):
    headers = {"X-Conversation-Id": "new", "Idempotency-Key": "k1"}
    chat.post("/v1/chat/completions", HELLO, as_=alice, headers=headers)
    headers |= {"X-Conversation-Id": other.get("id", "new")}
    answer = chat.post("/v1/chat/completions", other.get("body", HELLO), as_=alice, headers=headers)

    assert (answer.status, answer.json["error"]["code"]) == (400, "idempotency_key_reused")


def with_key(chat, person, **fields):
    return chat.post("/v1/chat/completions", HELLO | fields, as_=person, headers={"Idempotency-Key": "k1"})


def calls_of(row, person):
    return row("SELECT count(*) AS n FROM usage WHERE user_id = :u", u=person.id).n


def test_a_repeated_request_is_answered_and_charged_once(chat, alice, row):
    first, again = with_key(chat, alice), with_key(chat, alice)

    assert (first.status, again.status, again.json) == (200, 200, first.json)
    assert calls_of(row, alice) == 1


def test_a_repeated_stream_has_the_same_answer_and_is_charged_once(chat, alice, row):
    streams = [chunks(with_key(chat, alice, stream=True, stream_options={"include_usage": True})) for _ in range(2)]
    first, again = ([json.loads(chunk) for chunk in stream[:-1]] for stream in streams)
    texts = ["".join(chunk["choices"][0]["delta"].get("content", "") for chunk in stream[:-1]) for stream in (first, again)]

    assert texts[0] == texts[1] != ""
    assert (again[0]["id"], again[-2:], streams[1][-1]) == (first[0]["id"], first[-2:], "[DONE]")
    assert calls_of(row, alice) == 1


@pytest.mark.parametrize("change", [{"stream": True}, {"max_tokens": 5}])
def test_a_key_is_for_one_stateless_request(chat, alice, row, change):
    with_key(chat, alice)
    answer = with_key(chat, alice, **change)

    assert (answer.status, answer.json["error"]["code"], calls_of(row, alice)) == (400, "idempotency_key_reused", 1)


def test_a_failed_request_can_be_repeated_with_its_key(chat, alice):
    assert [with_key(chat, alice, model="nothing").status, with_key(chat, alice).status] == [404, 200]


def test_an_interrupted_stream_can_be_repeated_with_its_key(chat, alice):
    body, headers = HELLO | {"stream": True}, {"Idempotency-Key": "k1"}
    stream = chat.handler(rest_event("POST", "/v1/chat/completions", body, as_=alice, headers=headers), chat.CONTEXT)
    next(stream), next(stream)
    stream.close()
    again = with_key(chat, alice, stream=True)

    assert (again.status, chunks(again)[-1]) == (200, "[DONE]")


def test_plain_text_may_be_requested_in_a_stored_conversation(chat, alice):
    body = HELLO | {"response_format": {"type": "text"}}

    assert chat.post("/v1/chat/completions", body, as_=alice, headers={"X-Conversation-Id": "new"}).status == 200


@pytest.mark.parametrize("fields", [{"tools": []}, {"stop": "x"}, {"messages": [{"role": "assistant", "content": "x"}]}])
def test_a_stored_conversation_accepts_only_user_messages(chat, alice, fields):
    answer = chat.post("/v1/chat/completions", HELLO | fields, as_=alice, headers={"X-Conversation-Id": "new"})

    assert answer.status == 400


@pytest.mark.parametrize(("header", "status"), [("nonsense", 400), ("01996f6a-0000-7000-8000-000000000009", 404)])
def test_a_missing_conversation_is_refused(chat, alice, header, status):
    answer = chat.post("/v1/chat/completions", HELLO, as_=alice, headers={"X-Conversation-Id": header})

    assert (answer.status, answer.json["error"]["type"]) == (status, "invalid_request_error")


def test_another_users_conversation_is_not_found(chat, alice, bob):
    id = chat.post("/chat", {"message": "mine", "stream": False}, as_=alice).json["conversation_id"]
    answer = chat.post("/v1/chat/completions", HELLO, as_=bob, headers={"X-Conversation-Id": id})

    assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "x"}] * 105_000},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 80_000}]},
        {"messages": [{"no": 1}] * 2000},
        {"metadata": {str(number): 1 for number in range(40_000)}},
    ],
    ids=["messages", "parts", "invalid messages", "invalid fields"],
)
def test_a_body_of_very_many_values_is_refused_cheaply(chat, alice, fields):
    started_s = time.process_time()
    answer = complete(chat, alice, **fields)

    assert answer.status == 422 or answer.status == 400
    assert time.process_time() - started_s < 2
    assert len(answer.body) < 50_000


@pytest.mark.parametrize("content", ["x" * 800_001, [{"type": "text", "text": "x" * 400_001}] * 2], ids=["text", "parts"])
def test_a_stored_message_has_a_limit_of_characters(chat, alice, content):
    answer = chat.call(
        "POST",
        "/v1/chat/completions",
        HELLO | {"messages": [{"role": "user", "content": content}]},
        as_=alice,
        headers={"X-Conversation-Id": "new"},
    )

    assert answer.status == 400
    assert "800000 characters" in answer.json["error"]["message"]
