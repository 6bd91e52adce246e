"""Users rate answers. `tests/functions/auth/test_administration.py` covers what admins see."""

import pytest

from parley.ids import new_id


@pytest.fixture
def answer(chat, alice):
    """An answer, as `POST /chat` returns it, with its conversation."""
    return chat.post("/chat", {"message": "What is the secret?", "model": "offline", "stream": False}, as_=alice).json


def rate(conversation, person, message_id, **body):
    return conversation.call("PUT", f"/messages/{message_id}/feedback", body, as_=person)


def shown(conversation, person, answer):
    items = conversation.get(f"/conversations/{answer['conversation_id']}/messages", as_=person).json["items"]
    return [item["feedback"] for item in items]


def test_a_rating_is_shown_with_its_answer(conversation, alice, answer):
    rated = rate(conversation, alice, answer["message"]["id"], rating="bad", reason=" The dates are wrong. ")

    assert (rated.status, rated.json) == (200, {"rating": "bad", "reason": "The dates are wrong."})
    assert shown(conversation, alice, answer) == [None, rated.json]


def test_a_second_rating_replaces_the_first(conversation, alice, answer):
    for rating in ("bad", "good"):
        rate(conversation, alice, answer["message"]["id"], rating=rating)

    assert shown(conversation, alice, answer) == [None, {"rating": "good", "reason": None}]


def test_a_rating_can_be_withdrawn_once(conversation, alice, answer):
    path = f"/messages/{answer['message']['id']}/feedback"
    rate(conversation, alice, answer["message"]["id"], rating="good")

    assert [conversation.call("DELETE", path, as_=alice).status for _ in range(2)] == [204, 404]
    assert shown(conversation, alice, answer) == [None, None]


def test_a_question_cannot_be_rated(conversation, alice, answer):
    question, _ = conversation.get(f"/conversations/{answer['conversation_id']}/messages", as_=alice).json["items"]

    assert rate(conversation, alice, question["id"], rating="good").status == 404


@pytest.mark.parametrize("body", [{}, {"rating": "fine"}, {"rating": "bad", "reason": "x" * 2001}])
def test_a_rating_that_does_not_exist_is_422(conversation, alice, body):
    assert rate(conversation, alice, new_id(), **body).status == 422


def test_a_deleted_conversation_takes_its_ratings_along(conversation, alice, answer, postgres):
    rate(conversation, alice, answer["message"]["id"], rating="good")
    conversation.delete(f"/conversations/{answer['conversation_id']}", as_=alice)

    assert postgres.execute(f"SELECT count(*) FROM feedback WHERE user_id = '{alice.id}'", dbname="parley") == [(0,)]
