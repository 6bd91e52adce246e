"""Exports of ChatGPT, Claude, LibreChat and Open WebUI become conversations with their dates."""

import base64

import pytest

from functions.ingest.imports import archive
from tests.fakes import chat_exports
from tests.fakes.chat_exports import CLAUDE, LIBRECHAT, LIBRECHAT_TREE, OPEN_WEBUI, chatgpt_trip, zipped

TRIP = [
    ("user", "Where do puffins nest in Iceland?"),
    ("assistant", "On the cliffs of Látrabjarg."),
    ("user", "When should I go?"),
    ("assistant", "From May to August."),
]
STORY = [("user", "tell me a story"), ("assistant", "In a kingdom called Elenor")]
SUMS = [("user", "15 * 17?"), ("assistant", "255")]
BREAD = [("user", "How wet should the dough be?\n\nrecipe.txt\n\nRye starter, 100 g"), ("assistant", "Seventy per cent.")]


def left_out(run):
    return {entry["code"]: entry["count"] for entry in run["left_out"]}


def test_chatgpts_current_branch_is_imported_and_not_the_order_of_its_file(import_export, conversations_of, alice):
    run = import_export(alice, zipped([chatgpt_trip()]))

    assert (run["status"], run["source"], run["conversations_added"], run["messages_added"]) == ("ready", "chatgpt", 1, 4)
    assert conversations_of(alice) == {"Puffins": TRIP}
    assert left_out(run) == {"other_branches": 1}


def test_the_original_dates_and_models_are_kept(import_export, conversation, alice):
    import_export(alice, [chatgpt_trip()])
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    question, answer = conversation.get(f"/conversations/{shown['id']}/messages", as_=alice).json["items"][:2]

    assert (shown["created_at"], shown["updated_at"]) == ("2025-08-24T01:46:40.250000Z", "2025-08-24T02:03:20.250000Z")
    assert (question["created_at"], answer["created_at"]) == ("2025-08-24T01:46:40.250000Z", "2025-08-24T01:46:42.250000Z")
    assert (question["model"], answer["model"]) == (None, "gpt-5")


@pytest.mark.parametrize(
    ("export", "source", "title", "messages", "missing"),
    [
        (CLAUDE, "claude", "Sourdough", BREAD, {"attachments": 1, "tools_and_reasoning": 1}),
        (LIBRECHAT, "librechat", "Eldoria", STORY, {"other_branches": 1}),
        (LIBRECHAT_TREE, "librechat", "Eldoria", STORY, {"other_branches": 1}),
        (OPEN_WEBUI, "open-webui", "Sums", SUMS, {"other_branches": 1, "tools_and_reasoning": 1}),
    ],
    ids=["claude", "librechat", "librechat-tree", "open-webui"],
)
def test_other_programs_conversations_are_imported(import_export, conversations_of, alice, export, source, title, messages, missing):
    run = import_export(alice, export)

    assert (run["status"], run["source"]) == ("ready", source)
    assert conversations_of(alice) == {title: messages}
    assert left_out(run) == missing


def test_hidden_context_tools_and_consecutive_answers_make_one_answer(import_export, conversations_of, alice):
    message = chat_exports.chatgpt_message
    nodes = [
        message("s", "user", "About me", parent="root", metadata={"is_visually_hidden_from_conversation": True}),
        message("q", "user", "What is the weather?", parent="s"),
        message("call", "assistant", "{}", parent="q", recipient="browser"),
        message("tool", "tool", "raw page", parent="call"),
        message("a1", "assistant", "Let me look.", parent="tool"),
        message("a2", "assistant", "It rains.", parent="a1"),
    ]
    import_export(alice, [chat_exports.chatgpt_conversation(*nodes, title="Rain")])

    assert conversations_of(alice) == {"Rain": [("user", "What is the weather?"), ("assistant", "Let me look.\n\nIt rains.")]}


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"%PDF-1.7", None),
        (b"GIF89a" + b"0" * archive.MAX_IMAGE_BYTES, None),
    ],
)
def test_the_images_that_models_read_are_told_by_their_first_bytes(tmp_path, content, media_type):
    export = archive.Archive(str(tmp_path), None)
    image = export.image(f"data:;base64,{base64.b64encode(content).decode()}")

    assert (image and image.media_type) == media_type


def test_an_image_of_the_export_can_be_opened_and_a_missing_one_is_reported(import_export, conversation, chat, alice):
    run = import_export(alice, zipped([chat_exports.chatgpt_photo()]))
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    image, text = conversation.get(f"/conversations/{shown['id']}/messages", as_=alice).json["items"][0]["parts"]

    assert (image["type"], image["media_type"], text["text"]) == ("image", "image/png", "What bird is this?")
    assert chat.get(f"/chat/images/{image['id']}", as_=alice).status == 200
    assert left_out(run) == {"images": 1}


def test_an_imported_conversation_goes_on_with_the_next_question(import_export, conversation, chat, alice):
    import_export(alice, [chatgpt_trip()])
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    answer = chat.post("/chat", {"conversation_id": shown["id"], "message": "And in winter?", "stream": False}, as_=alice)
    messages = conversation.get(f"/conversations/{shown['id']}/messages", as_=alice).json["items"]

    assert (answer.status, [message["seq"] for message in messages]) == (200, [1, 2, 3, 4, 5, 6])


def test_the_imported_past_is_found_by_words_and_by_meaning(import_export, conversation, alice):
    import_export(alice, [chatgpt_trip()])
    words = conversation.get("/conversations/search?q=Látrabjarg&mode=text", as_=alice).json
    meaning = conversation.get("/conversations/search?q=puffins nesting Iceland&mode=semantic", as_=alice).json

    assert "Látrabjarg" in words["items"][0]["snippet"]
    assert meaning["items"] != []
