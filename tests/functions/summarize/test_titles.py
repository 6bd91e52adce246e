from dataclasses import replace

import pytest

from functions.summarize.schedule import run_scheduled
from functions.summarize.titles import MAX_TITLE_CHARACTERS, tidy_title
from parley.llm.catalogue import Catalogue
from parley.llm.messages import Finished, TextDelta, Usage
from tests.conftest import ROOT
from tests.functions.summarize.services import make_deadline, make_services
from tests.support.turns import ScriptedProvider


def title_of(conversation, person, id):
    return conversation.get(f"/conversations/{id}", as_=person).json["title"]


def test_the_first_turn_gives_a_conversation_a_title(summarize, say, conversation, alice):
    id = say(alice, "Can you please explain to me how photosynthesis works in plants at night?")
    summarize.run_schedule()

    assert title_of(conversation, alice, id) == "How photosynthesis works in plants at night"


def test_a_title_chosen_by_the_user_stays(summarize, say, conversation, alice):
    id = say(alice, "What is the capital of France?")
    conversation.patch(f"/conversations/{id}", {"title": "Mine"}, as_=alice)
    summarize.run_schedule()

    assert title_of(conversation, alice, id) == "Mine"


def test_a_title_is_generated_once(summarize, say, conversation, alice):
    id = say(alice, "What is the capital of France?")
    summarize.run_schedule()
    say(alice, "And of Portugal?", id)
    summarize.run_schedule()

    assert title_of(conversation, alice, id) == "Capital of France"


def test_a_title_is_in_the_users_usage(summarize, say, rows, alice):
    say(alice, "What is the capital of France?")
    summarize.run_schedule()

    assert rows("SELECT count(*) FROM usage WHERE user_id = :id AND purpose = 'title'", id=alice.id) == [(1,)]


def test_a_refusal_is_not_a_title(engines, say, conversation, alice):
    id = say(alice, "What is the capital of France?")
    before, refusal = (
        title_of(conversation, alice, id),
        [TextDelta("I cannot help with that.", is_refusal=True), Finished("stop", Usage(9, 9))],
    )
    run_scheduled(make_services(engines, ScriptedProvider(refusal)), make_deadline())

    assert title_of(conversation, alice, id) == before


def test_a_title_is_generated_behind_the_guards(summarize, say, conversation, monkeypatch, alice):
    from functions.summarize import app

    id = say(alice, "What is the capital of Nightingale?")
    catalogue = Catalogue.parse('[guard.words]\nwords = ["nightingale"]\n' + (ROOT / "tests/models.toml").read_text(), source="test")
    monkeypatch.setattr(app, "services", replace(app.services, catalogue=lambda: catalogue))
    summarize.run_schedule()

    assert title_of(conversation, alice, id) == "Capital of [removed]"


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ('"Capital of France"', "Capital of France"),
        ("\n**Title: The capital of France.**\nBecause …", "The capital of France"),
        ("« Capitale de la France »", "Capitale de la France"),
        ("  \n", ""),
        ('""', ""),
    ],
)
def test_a_models_response_becomes_one_line_without_quotes(answer, title):
    assert tidy_title(answer) == title


def test_a_long_title_is_truncated_at_a_word():
    cut = tidy_title("word " * 50)

    assert len(cut) <= MAX_TITLE_CHARACTERS
    assert cut.endswith("word…")
