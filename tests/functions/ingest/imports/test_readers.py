"""Each program's format: its current branch, the texts that its users see, and what is left out and counted."""

import json
import zipfile
from uuid import uuid4

import pytest

from functions.ingest.imports import chatgpt, claude, librechat, open_webui
from functions.ingest.imports.archive import Archive
from functions.ingest.imports.draft import ExportSource
from functions.ingest.imports.reader import read_conversations
from tests.fakes.chat_exports import chatgpt_conversation, chatgpt_message
from tests.support.images import PNG_DATA_URL


@pytest.fixture
def source(tmp_path):
    return ExportSource(uuid4(), Archive(str(tmp_path / "none"), None))


def told(read):
    return [(message.role, message.text) for message in read.conversation.messages]


def counted(source):
    return {code: count for code, count in source.left_out.items() if count}


def test_the_part_that_is_read_grows_from_file_to_file_up_to_all(tmp_path):
    conversation = chatgpt_conversation(chatgpt_message("q", "user", "Why? " * 40_000, parent="root"))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as file:
        for name, count in (("conversations-000.json", 2), ("conversations-001.json", 1)):
            file.writestr(name, json.dumps([conversation] * count))
    with Archive.opened(str(tmp_path / "export.zip")) as archive:
        done = [result.done for result in read_conversations(ExportSource(uuid4(), archive), has_image=lambda _key: False)]

    assert done == [pytest.approx(0.25, abs=0.1), 0.5, 1.0]


@pytest.mark.parametrize(
    ("item", "program"),
    [
        ({"mapping": {}}, "chatgpt"),
        ({"current_node": "a"}, "chatgpt"),
        ({"conversation_id": "c"}, "chatgpt"),
        ({"chat_messages": []}, "claude"),
        ({"chat": {}}, "open-webui"),
        ({"chat": "about"}, None),
        ({"conversationId": "c", "messages": []}, "librechat"),
        ({"conversationId": "c", "messagesTree": []}, "librechat"),
        ({"conversationId": "c"}, None),
        ({"messages": []}, None),
    ],
)
def test_the_fields_of_a_value_tell_the_program_that_wrote_it(tmp_path, item, program):
    (tmp_path / "export.json").write_text(json.dumps([item]))
    with Archive.opened(str(tmp_path / "export.json")) as archive:
        (result,) = read_conversations(ExportSource(uuid4(), archive), has_image=lambda _key: False)

    assert result.program == program


def test_what_parleys_own_export_has_is_called_by_its_title_or_name(tmp_path):
    row = {"id": str(uuid4()), "created_at": "2025-08-24T00:00:00Z", "updated_at": "2025-08-24T00:00:00Z"}
    version = row | {"prompt_id": row["id"], "version": 1, "text": "Go."}
    tables = {
        "conversations": [row | {"title": "Talk"}, row | {"id": "damaged", "title": "Lost"}],
        "prompts": [row | {"name": "trip"}],
        "prompt_versions": [version],
    }
    (tmp_path / "export.json").write_text(json.dumps({"parley_export": 1, "tables": tables}))
    with Archive.opened(str(tmp_path / "export.json")) as archive:
        results = list(read_conversations(ExportSource(uuid4(), archive), has_image=lambda _key: False))

    assert [(result.program, result.title) for result in results] == [("parley", "Talk"), ("parley", ""), ("parley", "trip")]


# ChatGPT


def nodes(**fields):
    return [chatgpt_message("q", "user", "Why?", parent="root"), chatgpt_message("a", "assistant", "So.", parent="q", seconds=1, **fields)]


def test_without_a_current_node_the_branch_of_the_newest_message_is_read(source):
    older = chatgpt_message("z", "assistant", "Older.", parent="q", seconds=0.5)
    read = chatgpt.read(chatgpt_conversation(*nodes(), older, current="gone"), source)

    assert (told(read), counted(source)) == ([("user", "Why?"), ("assistant", "So.")], {"other_branches": 1})


def test_without_dates_the_last_node_of_the_file_is_current(source):
    question = chatgpt_message("q", "user", "q", parent="root", create_time=None)
    undated = [question, chatgpt_message("a", "assistant", "a", parent="q", create_time=None)]

    assert told(chatgpt.read(chatgpt_conversation(*undated, current="gone"), source)) == [("user", "q"), ("assistant", "a")]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"content": {"content_type": "code", "text": "x"}}, "tools_and_reasoning"),
        ({"author": {"role": "tool"}}, "tools_and_reasoning"),
        ({"author": {"role": "system"}}, None),
        ({"recipient": "browser"}, None),
        ({"metadata": {"is_visually_hidden_from_conversation": True}}, None),
    ],
)
def test_only_what_chatgpt_shows_is_read_and_only_tools_are_counted(source, fields, code):
    read = chatgpt.read(chatgpt_conversation(*nodes(**fields)), source)

    assert (told(read), counted(source)) == ([("user", "Why?")], {code: 1} if code else {})


def test_attached_files_are_counted_except_images(source):
    files = [{"mime_type": "application/pdf"}, {"mimeType": "image/png"}, {"name": "x"}]
    chatgpt.read(chatgpt_conversation(*nodes(metadata={"attachments": files})), source)

    assert counted(source) == {"attachments": 2}


def test_spoken_words_are_text_and_answers_have_no_images(source):
    image = {"content_type": "image_asset_pointer", "asset_pointer": PNG_DATA_URL}
    parts = ["So.", {"content_type": "audio_transcription", "text": "aloud"}, image]
    read = chatgpt.read(chatgpt_conversation(*nodes(content={"content_type": "multimodal_text", "parts": parts})), source)

    assert (told(read)[1], read.images) == (("assistant", "So.\n\naloud"), {})


# Claude, LibreChat and Open WebUI


def claude_message(uuid, sender, text, parent=None, **fields):
    return {"uuid": uuid, "sender": sender, "text": text, "content": [], "parent_message_uuid": parent} | fields


def test_claudes_current_branch_is_read(source):
    messages = [claude_message("q", "human", "Why?", "root"), *(claude_message(id, "assistant", id, "q") for id in ("old", "new"))]
    item = {"uuid": "c", "name": "N", "chat_messages": messages}

    assert told(claude.read(item | {"current_leaf_message_uuid": "old"}, source)) == [("user", "Why?"), ("assistant", "old")]
    assert told(claude.read(item, source)) == [("user", "Why?"), ("assistant", "new")]
    assert counted(source) == {"other_branches": 2}


def test_an_older_export_of_claude_has_one_branch(source):
    item = {"uuid": "c", "chat_messages": [claude_message("q", "human", "Why?"), claude_message("a", "assistant", "So.")]}

    assert (told(claude.read(item, source)), counted(source)) == ([("user", "Why?"), ("assistant", "So.")], {})


def test_claudes_attachments_without_a_text_are_counted(source):
    files = [{"file_name": "a"}, {"file_name": "b", "extracted_content": "words"}]
    item = {"uuid": "c", "chat_messages": [claude_message("q", "human", "Why?", attachments=files, files=[{}, {}])]}

    assert (told(claude.read(item, source)), counted(source)) == ([("user", "Why?\n\nb\n\nwords")], {"attachments": 3})


def libre_message(id, parent, text, minute, **fields):
    at = f"2024-05-28T18:{minute:02}:00Z"
    return {"messageId": id, "parentMessageId": parent, "text": text, "createdAt": at, "isCreatedByUser": parent == ""} | fields


def test_librechats_blocks_and_files_are_read_or_counted(source):
    blocks = [{"type": "text", "text": {"value": "old"}}, {"type": "think", "think": "hm"}, {"type": "text", "text": "new"}]
    messages = [libre_message("q", "", "Why?", 1, files=[{}]), libre_message("a", "q", "", 2, content=blocks)]
    read = librechat.read({"conversationId": "c", "messagesTree": messages}, source)

    assert (told(read), counted(source)) == ([("user", "Why?"), ("assistant", "old\n\nnew")], {"attachments": 1, "tools_and_reasoning": 1})


def test_the_last_of_librechats_equally_new_messages_is_current(source):
    messages = [libre_message("q", "", "Why?", 1), libre_message("a", "q", "one", 2), libre_message("b", "q", "two", 2)]

    assert told(librechat.read({"conversationId": "c", "messages": messages}, source)) == [("user", "Why?"), ("assistant", "two")]


def test_the_newest_of_librechats_messages_is_current_wherever_it_stands(source):
    messages = [libre_message("q", "", "Why?", 1), libre_message("a", "q", "newer", 3), libre_message("b", "q", "older", 2)]

    assert told(librechat.read({"conversationId": "c", "messages": messages}, source)) == [("user", "Why?"), ("assistant", "newer")]


def webui_message(id, role, content, parent=None, **fields):
    return {"id": id, "role": role, "content": content, "parentId": parent} | fields


def webui_chat(*messages, **history):
    return {"id": "c", "chat": {"title": "T", "history": {"messages": {each["id"]: each for each in messages}} | history}}


def test_open_webuis_last_message_is_current_if_none_is_named(source):
    messages = [
        webui_message("q", "user", "Why?"),
        webui_message("a", "assistant", "one", "q"),
        webui_message("b", "assistant", "two", "q"),
    ]

    assert told(open_webui.read(webui_chat(*messages), source)) == [("user", "Why?"), ("assistant", "two")]
    assert told(open_webui.read(webui_chat(*messages, currentId="a"), source)) == [("user", "Why?"), ("assistant", "one")]


def test_open_webuis_first_releases_had_a_list_of_messages(source):
    messages = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    read = open_webui.read({"id": "c", "chat": {"title": "T", "messages": messages}}, source)

    assert (told(read), read.conversation.title, counted(source)) == ([("user", "Why?"), ("assistant", "So.")], "T", {})


def test_open_webuis_images_belong_to_questions_and_other_files_are_counted(source):
    files = [{"type": "image", "url": PNG_DATA_URL}, {"type": "file"}]
    messages = [webui_message("q", "user", "Why?", files=files), webui_message("a", "assistant", "So.", "q", files=files[:1])]
    read = open_webui.read(webui_chat(*messages, webui_message("s", "system", "x", "a")), source)

    parts = [[part["type"] for part in message.parts] for message in read.conversation.messages]
    assert (told(read), parts) == ([("user", "Why?"), ("assistant", "So.")], [["image", "text"], ["text"]])
    assert counted(source) == {"attachments": 1, "tools_and_reasoning": 1}


@pytest.mark.parametrize(
    ("text", "kept", "count"),
    [
        ('a<details type="x">b</details>c<details type="y">d</details>e', "ace", 2),
        ('a<details type="x">b', 'a<details type="x">b', 0),
        ("<details>b</details>", "<details>b</details>", 0),
        ('<details type="x">b</details>', "", 1),
    ],
)
def test_whole_blocks_of_reasoning_are_taken_out_of_open_webuis_texts(source, text, kept, count):
    read = open_webui.read(webui_chat(webui_message("q", "user", "Why?"), webui_message("a", "assistant", text, "q")), source)

    assert (told(read)[1:], source.left_out["tools_and_reasoning"]) == ([("assistant", kept)] if kept else [], count)
