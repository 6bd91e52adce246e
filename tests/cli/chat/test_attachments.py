"""`parley chat` with images, and with a schema for the answer."""

import json

import pytest

from tests.cli import replies
from tests.support.images import PNG_BYTES, PNG_DATA_URL


@pytest.fixture
def files(tmp_path):
    (tmp_path / "dot.png").write_bytes(PNG_BYTES)
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "words.txt").write_text("words")
    return tmp_path


def test_images_and_a_schema_are_sent(server, alice, parley, files):
    server.on("POST /chat", replies.answer("{}"))
    parley("chat", "What?", "--image", files / "dot.png", "--image", files / "dot.png", "--schema", files / "schema.json")
    body = server.requests[0].body

    assert body["images"] == [PNG_DATA_URL, PNG_DATA_URL]
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": json.loads('{"type": "object"}'), "strict": True}


@pytest.mark.parametrize(
    ("option", "name"), [("--image", "words.txt"), ("--schema", "words.txt"), ("--schema", "list.json"), ("--image", "no")]
)
def test_an_invalid_attachment_is_refused_before_anything_is_sent(server, alice, parley, files, option, name):
    result = parley("chat", "What?", option, files / name)

    assert (result.exit_code, name in result.stderr) == (2, True)
    assert server.requests == []
