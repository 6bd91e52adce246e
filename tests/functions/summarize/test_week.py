"""A week with one person: corrections, contradictions, dates, sources, a forgotten fact and an incognito conversation."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.summarize.jobs import run_job
from parley.jobs import OutboxJob
from tests.functions.summarize.services import make_deadline, make_services

MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)
# Day of the week, conversation, message. A conversation with the name of an earlier one continues it.
WEEK = [
    (0, "work", "Good morning! I live in Lyon and I work as a nurse. How do I sleep after a night shift?"),
    (0, "trip", "My sister is called Ingrid. The two of us plan a trip to the Lofoten islands in June, by train and ferry."),
    (1, "trip", "Which ferry goes from Bodø to Moskenes, and does it take bicycles?"),
    (1, "secret", "I work for a rival hospital from January, but nobody may know it yet."),
    (2, "dinner", "I am allergic to nuts, what can I cook for friends tonight?"),
    (3, "dinner", "It was a success! I prefer red lentils now."),
    (3, "poem", "Translate into Norwegian: I live in Venice and my name is Marco."),
    (4, "move", "Big news: I moved to Oslo, for the fjords and the light."),
    (5, "drinks", "I like tea in the evening. Please remember that I like tea."),
    (6, "drinks", "Please remember that I do not like tea any more. It keeps me awake."),
]


@pytest.fixture
def week(engines, say, change, rows, alice):
    """Live the week: take the turns, date them, and run the jobs. Return the conversations' ids by name."""
    ids = {}
    for day, name, message in WEEK:
        ids[name] = say(alice, message, ids.get(name), **({"incognito": True} if name == "secret" else {}))
        run_jobs(engines, rows, alice)
        date_new_rows(change, MONDAY + timedelta(days=day), alice)
    return ids


def run_jobs(engines, rows, person):
    entries = "SELECT id, topic, subject_id FROM outbox WHERE user_id = :id AND topic IN ('title', 'remember')"
    for entry_id, topic, subject_id in rows(entries, id=person.id):
        run_job(make_services(engines), OutboxJob(person.id, entry_id, topic, subject_id), deadline=make_deadline())


def date_new_rows(change, day, person):
    """Date everything of today as if it were `day`."""
    values = {"id": person.id, "day": day, "line": f"{day:%Y-%m-%d}"}
    change(
        "UPDATE passages SET said_at = :day, text = :line || substr(text, 11) WHERE user_id = :id AND said_at > now() - interval '1 hour'",
        **values,
    )
    for table, column in (("messages", "created_at"), ("memories", "created_at"), ("memories", "ended_at")):
        change(
            f"UPDATE {table} SET {column} = :day WHERE user_id = :id AND {column} > now() - interval '1 hour'",
            **{name: values[name] for name in ("id", "day")},
        )


@pytest.fixture
def facts(conversation, alice):
    """Return alice's facts by text."""
    return lambda: {fact["text"]: fact for fact in conversation.get("/memories?limit=100", as_=alice).json["items"]}


@pytest.fixture
def ask(chat, alice):
    """Ask in a new conversation and return the texts recalled for it, by kind."""

    def ask(question):
        events = chat.post("/chat", {"message": question, "incognito": False}, as_=alice).events
        return {kind: [data["text"] for name, data in events if name == "memory" and data["kind"] == kind] for kind in ("fact", "passage")}

    return ask


def test_the_week_leaves_few_facts_and_right_ones(week, facts):
    assert {text for text, fact in facts().items() if fact["ended_at"] is None} == {
        "The user works as a nurse.",
        "The user's sister is called Ingrid.",
        "The user is allergic to nuts.",
        "The user prefers red lentils.",
        "The user lives in Oslo.",
        "I do not like tea any more.",
    }


def test_a_correction_ends_the_older_fact_and_both_have_their_dates(week, facts):
    lyon, oslo = facts()["The user lives in Lyon."], facts()["The user lives in Oslo."]

    assert lyon["superseded_by"] == oslo["id"]
    assert (lyon["created_at"][:10], lyon["ended_at"][:10], oslo["created_at"][:10]) == ("2026-11-16", "2026-11-20", "2026-11-20")


def test_a_contradiction_keeps_both_statements_with_their_dates(week, facts):
    older, newer = facts()["I like tea."], facts()["I do not like tea any more."]

    assert (older["superseded_by"], newer["ended_at"]) == (newer["id"], None)
    assert (older["created_at"][:10], older["ended_at"][:10]) == ("2026-11-21", "2026-11-22")


def test_only_the_present_home_is_recalled_as_a_fact(week, ask):
    recalled = ask("Where do I live?")["fact"]

    assert "The user lives in Oslo." in recalled
    assert "The user lives in Lyon." not in recalled


def test_what_was_said_about_a_subject_is_found_with_its_date(week, conversation, ask, alice):
    found = conversation.get("/conversations/search?q=what did I say about the Lofoten islands", as_=alice).json["items"]

    assert (found[0]["conversation_id"], found[0]["said_at"][:10]) == (week["trip"], "2026-11-16")
    assert any(
        text.startswith("2026-11-16") and "Lofoten" in text for text in ask("What did I say about the Lofoten last week?")["passage"]
    )


def test_each_fact_leads_to_the_message_that_states_it(week, facts, conversation, alice):
    for fact in facts().values():
        messages = {
            message["id"]: message
            for message in conversation.get(f"/conversations/{fact['conversation_id']}/messages", as_=alice).json["items"]
        }
        source = messages[fact["message_id"]]

        assert (source["role"], source["seq"]) == ("user", fact["seq"])
        assert set(fact["text"].strip(".").split()) & set(source["parts"][0]["text"].replace(".", " ").replace(",", " ").split())


def test_a_forgotten_fact_comes_back_from_nowhere(week, facts, conversation, ask, alice):
    assert conversation.delete(f"/memories/{facts()['The user is allergic to nuts.']['id']}", as_=alice).status == 204
    recalled = ask("What should I avoid eating? Nuts, given my allergy?")

    assert not any("allergic" in text for text in (*recalled["fact"], *recalled["passage"]))
    assert "The user prefers red lentils." in recalled["fact"]


def test_the_incognito_conversation_leaves_no_trace(week, facts, conversation, rows, ask, alice):
    assert not any("rival" in text for text in facts())
    assert conversation.get("/conversations/search?q=rival hospital", as_=alice).json["items"] == []
    assert not any("rival" in text for text in ask("Which rival hospital do I work for from January?")["passage"])
    for table in ("passages", "memory_sources", "summaries"):
        assert rows(f"SELECT count(*) FROM {table} WHERE conversation_id = :id", id=week["secret"]) == [(0,)], table
    assert (
        rows(
            "SELECT purpose FROM usage u JOIN turns t ON t.id = u.turn_id WHERE t.conversation_id = :id AND purpose = 'embedding'",
            id=week["secret"],
        )
        == []
    )
