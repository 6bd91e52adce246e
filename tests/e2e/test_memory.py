"""Memory over a week: facts are remembered, corrected and forgotten. Each day is a conversation; the schedule is run on demand."""

import subprocess
import threading
import time

import httpx2

from local.services.postgres import pg_program
from tests.e2e.test_turns import events_of, text_of
from tests.support.time_limits import HANG_S, wait_until

LISBON, PORTO = "The user lives in Lisbon.", "The user lives in Porto."


def say(ada, message, **options):
    """Take a turn with the offline model in a new conversation; return its events and the conversation's id."""
    with ada.stream({"message": message, "model": "offline", **options}) as response:
        events = list(events_of(response))
    assert events[-1][1] == "turn.completed", events[-1]
    return events, events[0][2]["conversation_id"]


def fire(stack):
    """Run the schedule and return its result."""
    answer = stack.http.post("/_local/schedules/SummarizeSchedule", timeout=HANG_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def remember(stack, ada, message, **options):
    """Send a message and run the schedule; return the conversation's id."""
    _, conversation_id = say(ada, message, **options)
    fire(stack)
    return conversation_id


def memories(ada):
    return {memory["text"]: memory for memory in ada.get("/memories").json()["items"]}


def recalled(events):
    return {(data["kind"], data["text"]) for _, name, data in events if name == "memory"}


def exported(ada, table):
    asked = ada.post("/auth/me/exports").json()
    url = wait_until(lambda: ada.get(f"/auth/me/exports/{asked['id']}").json()["url"])
    return httpx2.get(url, trust_env=False).json()["tables"][table]


def test_a_fact_of_monday_is_used_on_friday_and_corrected_on_saturday(stack, ada):
    monday = remember(stack, ada, "I live in Lisbon. What is a good walk?")
    friday, _ = say(ada, "Where do I live?")
    assert ("fact", LISBON) in recalled(friday)
    assert LISBON in text_of(friday)
    assert memories(ada)[LISBON]["conversation_id"] == monday

    remember(stack, ada, "I moved to Porto.")
    sunday, _ = say(ada, "Where do I live?")
    old, new = memories(ada)[LISBON], memories(ada)[PORTO]
    assert (old["superseded_by"], new["superseded_by"], new["ended_at"]) == (new["id"], None, None)
    assert old["ended_at"] >= old["created_at"]
    assert {text for kind, text in recalled(sunday) if kind == "fact"} == {PORTO}


def test_what_a_deleted_conversation_told_is_gone(stack, ada):
    monday = remember(stack, ada, "I live in Lisbon.")
    assert memories(ada).keys() == {LISBON}
    assert ada.delete(f"/conversations/{monday}").status_code == 204
    friday, _ = say(ada, "Where do I live?")

    assert (memories(ada), recalled(friday)) == ({}, set())


def test_a_deleted_memory_is_used_no_more(stack, ada):
    remember(stack, ada, "I am allergic to peanuts.")
    (fact,) = memories(ada).values()
    assert ada.delete(f"/memories/{fact['id']}").status_code == 204
    friday, _ = say(ada, "What am I allergic to?")

    assert memories(ada) == {}
    assert "fact" not in {kind for kind, _ in recalled(friday)}


def test_two_firings_at_once_leave_one_summary_and_one_fact(stack, ada):
    _, conversation_id = say(ada, "I live in Lisbon.")
    firings = [threading.Thread(target=fire, args=[stack]) for _ in range(2)]
    [firing.start() for firing in firings]
    [firing.join() for firing in firings]

    assert [row["conversation_id"] for row in exported(ada, "summaries")] == [conversation_id]
    assert ada.get(f"/conversations/{conversation_id}/summary").json()["upto_seq"] == 2
    assert memories(ada).keys() == {LISBON}


def test_a_conversation_gets_a_title(ada):
    _, conversation_id = say(ada, "Tell me about the ferries to Almada?")

    assert wait_until(lambda: ada.get(f"/conversations/{conversation_id}").json()["title"] == "Ferries to Almada")


def test_an_incognito_conversation_is_never_mined(stack, ada):
    remember(stack, ada, "I live in Lisbon.", incognito=True)
    friday, _ = say(ada, "Where do I live?")

    assert (memories(ada), recalled(friday)) == ({}, set())


def test_a_backup_has_no_memory_of_an_incognito_conversation(fault_stack):
    ada = fault_stack.register()
    say(ada, "I live in Oslo.")
    remember(fault_stack, ada, "I live in Lisbon.", incognito=True)
    fault_stack.kill()
    folder = fault_stack.data.parent / "backup"
    saved = fault_stack.parley("backup", str(folder))
    fault_stack.start()
    assert saved.returncode == 0, saved.stderr

    assert tables_with("Oslo", folder) >= {"messages", "passages", "memories"}
    assert tables_with("Lisbon", folder) & {"passages", "memories"} == set()
    assert "messages" in tables_with("Lisbon", folder)


def tables_with(word, backup):
    """Return the tables of a backup with a row that contains the word."""
    command = [str(pg_program("pg_restore")), "--data-only", "--file=-", str(backup / "database.dump")]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\nCOPY public.")[1:]
    return {table.split()[0] for table in rows if word in table.partition("\n\\.\n")[0]}


def test_nothing_is_recalled_nor_mined_while_memory_is_off(stack, ada):
    remember(stack, ada, "I live in Lisbon.")
    assert ada.patch("/auth/me", {"memory_enabled": False}).json()["memory_enabled"] is False
    friday, _ = say(ada, "Where do I live? I prefer tea.")
    fire(stack)

    assert (recalled(friday), memories(ada).keys()) == (set(), {LISBON})


def test_an_allergy_of_today_is_recalled_ten_seconds_later_in_another_conversation(ada):
    began_s = time.monotonic()
    _, told = say(ada, "I am allergic to nuts")
    search = "/conversations/search?q=allergic to nuts&mode=text"
    assert [hit["conversation_id"] for hit in ada.get(search).json()["items"]] == [told]
    wait_until(lambda: memories(ada).get("The user is allergic to nuts."))
    fact_s = time.monotonic() - began_s
    asked, _ = say(ada, "what should I avoid eating?")

    assert ("fact", "The user is allergic to nuts.") in recalled(asked)
    # On a quiet machine the fact is there after a second.
    assert fact_s < 30


def test_what_was_said_is_found_by_its_meaning_without_a_key(keyless_stack):
    ada = keyless_stack.register()
    # They share more words with the question: a comparison of words finds each of them first.
    others = ("What should I pay for the tickets?", "What should I call the boat?", "What should I do about the noise?")
    for message in (*others, "I am allergic to nuts"):
        _, told = say(ada, message, model="best")
    began_s = time.monotonic()
    question = "what should I avoid eating?"
    wait_until(lambda: first_found_by_meaning(ada, question) == told)
    wait_until(lambda: memories(ada).get("The user is allergic to nuts."))
    found_s = time.monotonic() - began_s
    asked, _ = say(ada, question, model="best")

    assert ("fact", "The user is allergic to nuts.") in recalled(asked)
    assert "nuts" in text_of(asked)
    assert asked[-1][2]["retrieval"] == "hybrid"
    # On a quiet machine it takes a second.
    assert found_s < 30


def first_found_by_meaning(ada, question):
    """Return the conversation of the best hit of a semantic search, None if there is none."""
    found = ada.get(f"/conversations/search?q={question}&mode=semantic").json()
    return next((hit["conversation_id"] for hit in found["items"] if found["mode"] == "semantic"), None)
