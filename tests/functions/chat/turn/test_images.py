"""Images of questions: stored under their user, sent to models that accept images, and deleted if their turn is refused."""

import base64
from dataclasses import replace
from uuid import uuid4

import boto3
import pytest

from functions.chat.errors import ConversationBusy
from functions.chat.turn.question import IMAGE_NOTE
from parley.errors import NotFound
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.errors import ModelCannot
from parley.llm.messages import Image
from tests.support.images import PNG_BYTES, PNG_DATA_URL
from tests.support.turns import HELLO, ScriptedProvider, make_services, stored_messages, take

IMAGE = Image("image/png", PNG_BYTES)
MODELS = """
[roles]
chat = "seeing"
[models.seeing]
provider = "offline"
name = "seeing"
abilities = ["images"]
[models.blind]
provider = "offline"
name = "blind"
[strategies.either]
kind = "fallback"
models = ["blind", "seeing"]
"""


@pytest.fixture
def services(engine, provider):
    catalogue = Catalogue.parse(MODELS, source="test")
    return replace(make_services(engine, provider), catalogue=lambda: catalogue)


@pytest.fixture
def keys(environment):
    """Return a function that lists the keys of the user's images in the bucket."""
    bucket = boto3.resource("s3").Bucket(environment["PARLEY_FILES_BUCKET"])
    return lambda person: [found.key for found in bucket.objects.filter(Prefix=f"images/{person.id}/")]


def shown(request):
    """Return the request's messages as (role, parts)."""
    return [
        (message.role, [part.text if isinstance(part, llm.Text) else part.media_type for part in message.parts])
        for message in request.messages
    ]


def test_a_model_with_vision_receives_image_and_text(services, provider, alice):
    take(services, alice, "what is it?", attached=[IMAGE])

    assert list(provider.requests[0].messages[0].parts) == [IMAGE, llm.Text("what is it?")]


def test_the_message_refers_to_the_image_under_its_users_key(services, engine, alice, keys):
    started, *_ = take(services, alice, attached=[IMAGE])
    image_part, text_part = stored_messages(engine, alice, started.conversation_id)[0].parts

    assert keys(alice) == [image_part["key"]] == [f"images/{alice.id}/{image_part['id']}"]
    assert (image_part["type"], image_part["media_type"], text_part["text"]) == ("image", "image/png", "hello")


def test_an_earlier_image_is_shown_again_for_a_while_and_then_noted(services, provider, alice):
    started, *_ = take(services, alice, "one", attached=[IMAGE])
    for text in ("two", "three", "four"):
        take(services, alice, text, conversation_id=started.conversation_id)
    second, _, last = provider.requests[1:]

    assert shown(second)[0] == ("user", ["image/png", "one"])
    assert second.messages[0].parts[0].data == PNG_BYTES
    assert shown(last)[0] == ("user", [f"{IMAGE_NOTE}\none"])


def test_a_model_without_vision_gets_notes_of_earlier_images(services, provider, alice):
    started, *_ = take(services, alice, "one", attached=[IMAGE])
    take(services, alice, "two", conversation_id=started.conversation_id, model="blind")

    assert shown(provider.requests[1])[0] == ("user", [f"{IMAGE_NOTE}\none"])


def test_a_question_with_an_image_needs_a_model_with_vision(services, provider, alice, keys):
    with pytest.raises(ModelCannot):
        take(services, alice, attached=[IMAGE], model="blind")
    assert (provider.requests, keys(alice)) == ([], [])

    assert take(services, alice, attached=[IMAGE], model="either")[0].model == "seeing"


def test_an_image_may_be_shown_again_by_its_id(services, engine, provider, alice, keys):
    started, *_ = take(services, alice, attached=[IMAGE])
    image_part = stored_messages(engine, alice, started.conversation_id)[0].parts[0]
    again, *_ = take(services, alice, attached=[image_id(image_part)])

    assert stored_messages(engine, alice, again.conversation_id)[0].parts[0] == image_part
    assert (provider.requests[1].messages[0].parts[0], len(keys(alice))) == (IMAGE, 1)


def image_id(part):
    from uuid import UUID

    return UUID(part["id"])


def test_another_users_image_is_not_found(services, engine, alice, bob, keys):
    started, *_ = take(services, alice, attached=[IMAGE])
    image_part = stored_messages(engine, alice, started.conversation_id)[0].parts[0]

    for id in (image_id(image_part), uuid4()):
        with pytest.raises(NotFound):
            take(services, bob, attached=[IMAGE, id])
    assert keys(bob) == []


def test_a_refused_turn_leaves_no_image(services, engine, alice, keys):
    def busy():
        with pytest.raises(ConversationBusy):
            take(services, alice, conversation_id=started.conversation_id, attached=[IMAGE])

    started, *_ = take(services, alice)
    other = replace(services, router=make_services(engine, ScriptedProvider([busy, *HELLO])).router)
    take(other, alice, conversation_id=started.conversation_id)

    assert keys(alice) == []


def test_a_question_is_regenerated_with_its_images(services, provider, alice):
    started, *_ = take(services, alice, attached=[IMAGE])
    take(services, alice, "", conversation_id=started.conversation_id, is_regeneration=True)

    assert list(provider.requests[1].messages[-1].parts) == [IMAGE, llm.Text("hello")]


def test_a_missing_image_becomes_a_note(services, provider, alice, keys, environment):
    started, *_ = take(services, alice, attached=[IMAGE])
    boto3.client("s3").delete_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=keys(alice)[0])
    take(services, alice, "and now?", conversation_id=started.conversation_id)

    assert shown(provider.requests[1])[0] == ("user", ["[image: no longer available]", "hello"])


def post(chat, person, **fields):
    return chat.post("/chat", {"message": "what?", "model": "seeing", "images": [PNG_DATA_URL], "stream": False} | fields, as_=person)


def test_the_api_shows_the_image_without_its_key_and_signs_a_url(chat, conversation, alice):
    made = post(chat, alice).json
    part = conversation.get(f"/conversations/{made['conversation_id']}/messages", as_=alice).json["items"][0]["parts"][0]
    found = chat.get(f"/chat/images/{part['id']}", as_=alice).json

    assert set(part) == {"type", "id", "media_type"}
    assert (found["id"], found["media_type"]) == (part["id"], "image/png")
    assert f"images/{alice.id}/{part['id']}?" in found["url"]


def image_of(conversation, person, made):
    return conversation.get(f"/conversations/{made['conversation_id']}/messages", as_=person).json["items"][0]["parts"][0]["id"]


def test_the_owner_reads_an_images_bytes_and_nobody_else_does(chat, conversation, alice, bob):
    id = image_of(conversation, alice, post(chat, alice).json)
    answer = chat.get(f"/chat/images/{id}/content", as_=alice)

    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert base64.b64encode(answer.body).decode() == PNG_DATA_URL.partition(",")[2]
    assert chat.get(f"/chat/images/{id}/content", as_=bob).status == 404


@pytest.mark.parametrize(
    "image",
    [
        "https://example.com/a.png",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,/9j/4AAQ",  # a JPEG
        "data:image/png;base64,%%%",
        "no-id",
    ],
)
def test_an_invalid_image_is_refused_with_its_location(chat, alice, image):
    answer = post(chat, alice, images=[PNG_DATA_URL, image])

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body", "images", 1])


def test_a_models_missing_ability_is_an_error(chat, alice):
    answer = post(chat, alice, model="offline")

    assert (answer.status, answer.json["code"]) == (422, "model_cannot")


def test_a_repeated_request_stores_its_image_once(chat, alice, keys):
    headers = {"Idempotency-Key": "k1"}
    body = {"message": "what?", "model": "seeing", "images": [PNG_DATA_URL], "stream": False}
    first, again = (chat.post("/chat", body, as_=alice, headers=headers) for _ in range(2))

    assert first.json["turn_id"] == again.json["turn_id"]
    assert len(keys(alice)) == 1
