"""Stored messages as the model receives them: rounds, thoughts, calls, images and notes."""

from dataclasses import replace
from uuid import UUID

import pytest

from functions.chat.turn.question import (
    IMAGE_NOTE,
    Question,
    answer_messages,
    default_title,
    ended_answer_messages,
    fetch_images,
    message_content,
    message_tokens,
    parse_assistant,
)
from parley.llm import messages as llm
from parley.llm.messages import OutputSchema
from parley.llm.prompts import untrusted_result
from parley.llm.tokens import PER_IMAGE, PER_MESSAGE, estimate_tokens

TEXT = {"type": "text", "text": "Let me see."}
CALL = {"type": "tool_call", "call_id": "a", "name": "clock", "arguments": {"zone": "Zürich"}}
RESULT = {"type": "tool_result", "call_id": "a", "ok": True, "content": "noon"}
THOUGHT = {"type": "thought", "origin": "acme/m", "payload": "sealed"}
SOURCE = {"type": "source", "number": 1}
IMAGE = {"type": "image", "id": "i", "key": "k", "media_type": "image/png"}
MADE_CALL = llm.ToolCall("a", "clock", '{"zone":"Zürich"}')


def roles(messages):
    return [message.role for message in messages]


def test_each_round_is_an_assistants_message_and_its_results():
    second = [CALL | {"call_id": "b"}, CALL | {"call_id": "c"}, RESULT | {"call_id": "c", "ok": False}, RESULT | {"call_id": "b"}]
    messages = answer_messages([TEXT, SOURCE, CALL, RESULT, *second, {"type": "text", "text": "Noon."}])

    assert roles(messages) == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert messages[0].parts == (llm.Text("Let me see."), MADE_CALL)
    assert messages[1].parts == (llm.ToolResult("a", untrusted_result("noon"), is_error=False),)
    assert [(part.call_id, part.is_error) for part in messages[3].parts] == [("b", False), ("c", True)]
    assert messages[4].text == "Noon."


def test_a_call_without_a_result_has_one_that_says_so():
    (_, results) = answer_messages([CALL])

    assert results.parts == (llm.ToolResult("a", "Not run: the answer ended before this call.", is_error=True),)


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_thought_is_sent_back_only_within_its_turn(is_sent):
    (message, _) = answer_messages([THOUGHT, CALL, RESULT], with_thoughts=is_sent)

    assert message.parts == ((llm.Thought("acme/m", "sealed"), MADE_CALL) if is_sent else (MADE_CALL,))


def test_a_round_of_a_thought_alone_is_no_message():
    assert answer_messages([THOUGHT, {"type": "text", "text": ""}]) == []


def test_what_the_user_adds_meanwhile_comes_before_the_round_that_reads_it():
    messages = answer_messages([CALL, RESULT, {"type": "user_message", "id": "u", "text": "Hurry!"}, TEXT])

    assert [(message.role, message.text) for message in messages[2:]] == [
        ("assistant", "(The user adds a message.)"),
        ("user", "Hurry!"),
        ("assistant", "Let me see."),
    ]


@pytest.mark.parametrize(("max_bytes", "is_cut"), [(None, False), (4, False), (3, True)])
def test_a_result_is_cut_to_the_room_that_it_has(max_bytes, is_cut):
    (_, results) = answer_messages([CALL, RESULT], max_bytes=max_bytes)

    assert results.parts[0].text.endswith("longer.]") is is_cut


def test_only_an_answer_that_ended_with_a_result_gets_a_note():
    assert [ended_answer_messages(parts)[-1].text for parts in ([CALL, RESULT], [CALL, RESULT, TEXT])] == [
        "(The answer ended here.)",
        "Let me see.",
    ]
    assert ended_answer_messages([]) == []


# Images


@pytest.mark.parametrize(
    ("text", "images", "are_shown", "content"),
    [
        ("hi", [], True, "hi"),
        ("hi", [IMAGE, IMAGE], False, f"{IMAGE_NOTE}\n{IMAGE_NOTE}\nhi"),
        ("", [IMAGE], False, IMAGE_NOTE),
        ("", [], True, ""),
    ],
)
def test_an_image_that_is_not_shown_is_noted(text, images, are_shown, content):
    assert message_content(text, images, are_shown=are_shown) == content


class Store:
    """A store of images that counts what is read."""

    def __init__(self):
        self.read = []

    def load(self, key):
        self.read.append(key)
        return None if key == "gone" else b"PNG"


def test_each_image_is_read_once_and_a_missing_one_is_noted():
    content = message_content("hi", [IMAGE, IMAGE, IMAGE | {"key": "gone"}, IMAGE | {"key": "gone"}], are_shown=True)
    request, store = llm.ModelRequest([llm.Message("user", content), llm.Message("user", "and")]), Store()
    fetched = fetch_images(request, store, {})

    assert fetched.messages[0].parts[:3] == (*[llm.Image("image/png", b"PNG")] * 2, llm.Text("[image: no longer available]"))
    assert fetched.messages[0].text.endswith("hi")
    assert (fetched.messages[1], store.read) == (llm.Message("user", "and"), ["k", "gone"])


def test_an_image_without_a_text_is_a_message():
    assert [type(part).__name__ for part in message_content("", [IMAGE], are_shown=True)] == ["UnfetchedImage"]


def test_a_messages_tokens_are_those_of_its_texts_its_calls_and_its_images():
    image, result = llm.Image("image/png", b""), llm.ToolResult("a", "noon")
    parts = [image, image, llm.Text("hello"), llm.ToolCall("a", "clock", "{}"), result, llm.Thought("o", "sealed")]
    texts = sum(estimate_tokens(text) - PER_MESSAGE for text in ("hello", "clock {}", "noon", "sealed"))

    assert message_tokens(llm.Message("user", parts)) == PER_MESSAGE + 2 * PER_IMAGE + texts
    assert message_tokens(llm.Message("user", "hello")) == message_tokens(llm.Message("user", [llm.Text("hello")]))


# Questions


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (" Two\n words ", "Two words"),
        (" \n", None),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 58 + " yy", "x" * 58 + "…"),
    ],
)
def test_a_conversation_is_called_after_the_beginning_of_its_first_question(text, title):
    assert default_title(text) == title


ASSISTANT = UUID(int=7)


@pytest.mark.parametrize(
    ("model", "id"), [(f"assistant:{ASSISTANT}", ASSISTANT), (str(ASSISTANT), None), ("assistant:nobody", None), ("gpt", None)]
)
def test_a_models_name_may_name_an_assistant(model, id):
    assert parse_assistant(model) == id


@pytest.mark.parametrize("schema", [None, OutputSchema("answer", {"type": "object"}, strict=False)])
@pytest.mark.parametrize(("documents", "kept"), [(False, False), ([UUID(int=1)], True), ([], False)])
def test_a_paused_turn_goes_on_with_the_options_of_its_question(documents, kept, schema):
    asked = Question("hello", UUID(int=2), "m", 50, 0.5, tools=["clock"], documents=documents, output=schema, asks_user=kept)

    assert Question.restore("hello", [IMAGE], UUID(int=2), asked.options()) == replace(asked, documents=kept, images=[IMAGE])
