"""Memory search: only the user's rows, by words and vectors together, and only for the app role."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from parley.db import conversations, memories, messages, passages
from parley.db.projects import projects
from parley.db.search import WindowStart, recall, search_facts, search_passages
from parley.db.transactions import global_scope, user_scope
from parley.db.vectors import Vector
from parley.ids import new_id
from parley.memory.named_time import Period
from parley.memory.passages import Passage
from tests.support.builders import CONVERSATION_DAY, add_conversation, add_memory

CALL = "SELECT count(*) FROM parley_search_passages('storm', '[1,0]', 'm', 10, 10, NULL, NULL, NULL)"
EAST, NORTH, BOTH = Vector("m", [1.0, 0.0]), Vector("m", [0.0, 1.0]), Vector("m", [1.0, 0.2])


@pytest.fixture
def search(engine, alice):
    """Return a function that searches alice's passages and returns the users' texts in them."""

    def search(query, vector=None, limit=10):
        with user_scope(engine, alice.id) as connection:
            found = search_passages(connection, query, user_id=alice.id, vector=vector, limit=limit)
        return [one.text.partition("User: ")[2] for one in found]

    return search


def test_passages_with_rarer_words_rank_first(engine, alice, search):
    add_conversation(engine, alice, "the boat", "the boat in the storm", "the boat by the pier", "nothing of that kind")

    assert search("a storm, a boat")[0] == "the boat in the storm"
    assert set(search("boat")) == {"the boat", "the boat in the storm", "the boat by the pier"}


@pytest.mark.parametrize("query", ["running", "ÉTÉ", "diff executor", "diffExecutor", "diff_executor", "東京"])
def test_endings_accents_case_and_compounds_do_not_hide_a_word(engine, alice, search, query):
    add_conversation(engine, alice, "she runs un ete DiffExecutor 東京に住む", "something else")

    assert search(query) == ["she runs un ete DiffExecutor 東京に住む"]


def test_a_similar_vector_is_found_without_a_common_word(engine, alice, search):
    add_conversation(engine, alice, "cats", "dogs", vectors=[EAST, NORTH])

    assert search("felines", BOTH) == ["cats", "dogs"]


def test_words_and_vectors_both_count(engine, alice, search):
    add_conversation(engine, alice, "a storm", "waves", "a storm and waves", vectors=[NORTH, EAST, EAST])

    assert search("storm", EAST)[0] == "a storm and waves"


@pytest.mark.parametrize(("model", "first"), [("lexical", "a storm over the pier"), ("m", "the pier")])
def test_vectors_of_the_lexical_model_do_not_outweigh_words(engine, alice, search, model, first):
    east, north = Vector(model, [1.0, 0.0]), Vector(model, [0.0, 1.0])
    add_conversation(engine, alice, "a storm over the pier", "the pier", "waves", "sand", vectors=[north, east, north, north])

    assert search("storm pier", east)[0] == first


def test_vectors_of_another_model_or_length_are_not_compared(engine, alice, search):
    add_conversation(engine, alice, "cats", "dogs", "birds", vectors=[Vector("other", [1.0, 0.0]), Vector("m", [1.0, 0.0, 0.0]), EAST])

    assert search("", EAST) == ["birds"]


def test_vectors_of_384_and_1536_numbers_coexist(engine, alice, search):
    small, large = Vector("small", [0.1] * 384), Vector("large", [0.1] * 1536)
    add_conversation(engine, alice, "small", "large", vectors=[small, large])

    assert (search("", small), search("", large)) == (["small"], ["large"])


@pytest.mark.parametrize("length", [4096, 4097, 12_000])
def test_long_vectors_are_found_too(engine, alice, search, length):
    one, other = Vector("m", [1.0, 0.0] * length), Vector("m", [0.0, 1.0] * length)
    near, far = (Vector("m", vector.numbers[:length]) for vector in (one, other))
    add_conversation(engine, alice, "near", "far", vectors=[near, far])

    assert search("", near) == ["near", "far"]


def test_other_users_passages_and_facts_are_not_found(engine, alice, bob, search):
    add_conversation(engine, bob, "the secret storm", vectors=[EAST])
    add_memory(engine, bob, "the secret storm", vector=EAST)
    with user_scope(engine, alice.id) as connection:
        facts = search_facts(connection, "storm", vector=EAST, limit=10)
    recalled = recall(
        engine, "storm", user_id=alice.id, vector=EAST, window_start=WindowStart(None, 0), facts=9, passages=9, half_life_days=30
    )

    assert (search("storm", EAST), facts, recalled.facts, recalled.passages) == ([], [], [], [])


def test_a_search_without_a_user_finds_nothing(engine, alice):
    add_conversation(engine, alice, "the storm", vectors=[EAST])
    with global_scope(engine) as connection:
        assert connection.scalar(text(CALL)) == 0


@pytest.mark.parametrize("role", ["background"])
def test_only_the_app_role_may_search(engines, role):
    with engines[role].connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(CALL))


def test_the_search_role_cannot_log_in_and_can_only_read(engines):
    with engines["owner"].connect() as connection:
        role = connection.execute(text("SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'parley_search'")).one()
        rights = connection.scalars(
            text("SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'parley_search'")
        ).all()
        may_make = connection.scalar(text("SELECT has_schema_privilege('parley_search', 'public', 'CREATE')"))

    assert (tuple(role), rights, may_make) == ((False, False, False), ["SELECT"], False)


def test_security_definer_functions_have_a_fixed_search_path(engines):
    """`pg_catalog` is first, so that nothing replaces PostgreSQL's own functions, and temporary tables are last."""
    with engines["owner"].connect() as connection:
        found = connection.execute(
            text(
                "SELECT proname, coalesce(array_to_string(proconfig, ' '), '') AS settings FROM pg_proc "
                "WHERE prosecdef AND pronamespace = 'public'::regnamespace"
            )
        ).all()

    assert len(found) >= 3
    assert [row.proname for row in found if not row.settings.startswith("search_path=pg_catalog, public, pg_temp")] == []


def test_no_role_of_a_request_can_add_objects_to_the_search_path(engines):
    roles = ["parley_app", "parley_background", "parley_search"]
    with engines["owner"].connect() as connection:
        may_create = [connection.scalar(text("SELECT has_schema_privilege(:role, 'public', 'CREATE')"), {"role": role}) for role in roles]

    assert may_create == [False] * 3


def test_a_passage_beside_a_hit_ranks_before_an_equal_one_elsewhere(engine, alice, search):
    add_conversation(engine, alice, "the boat", "sand and sun")
    add_conversation(engine, alice, "the boat", "the storm tore the sail", "sand and sun")
    found = search("storm, sail, boat")

    assert found == ["the storm tore the sail", "the boat", "the boat"]
    with user_scope(engine, alice.id) as connection:
        second, third = search_passages(connection, "storm, sail, boat", user_id=alice.id, vector=None, limit=9)[1:]
    assert second.score > third.score
    assert second.bm25 == third.bm25


def test_a_passage_has_a_fifth_of_the_score_of_the_hit_beside_it(engine, alice):
    add_conversation(engine, alice, "the boat", "the storm tore the sail")
    add_conversation(engine, alice, "the boat")
    with user_scope(engine, alice.id) as connection:
        hit, beside, alone = search_passages(connection, "storm, sail, boat", user_id=alice.id, vector=None, limit=9)

    # The hit has a fifth of its neighbour's score too.
    assert beside.score - alone.score == pytest.approx((hit.score - alone.score / 5) / 5)


def test_a_neighbour_in_another_conversation_or_further_away_shares_nothing(engine, alice):
    add_conversation(engine, alice, "the boat", "nothing of that kind", "the storm tore the sail")
    add_conversation(engine, alice, "the boat")
    with user_scope(engine, alice.id) as connection:
        _, first, second = search_passages(connection, "storm, sail, boat", user_id=alice.id, vector=None, limit=9)

    assert first.score == second.score


def test_a_search_by_vector_alone_ignores_neighbours(engine, alice):
    add_conversation(engine, alice, "a", "b", "c", vectors=[EAST, BOTH, NORTH])
    add_conversation(engine, alice, "d", "e", vectors=[NORTH, BOTH])
    with user_scope(engine, alice.id) as connection:
        found = search_passages(connection, "", user_id=alice.id, vector=EAST, limit=9)
    scores = {one.text[-1]: one.score for one in found}

    assert scores["b"] == scores["e"]
    assert scores["c"] == scores["d"]


@pytest.mark.parametrize(("model", "first"), [("lexical", "a storm"), ("m", "the gale")])
def test_a_sentence_model_outweighs_some_of_the_words(engine, alice, search, model, first):
    def vector(*numbers):
        return Vector(model, numbers)

    add_conversation(engine, alice, "a storm, a sail", vectors=[vector(0.0, 1.0)])
    add_conversation(engine, alice, "a storm", vectors=[vector(0.8, 0.6)])
    add_conversation(engine, alice, "the gale", vectors=[vector(1.0, 0.0)])
    found = search("storm, sail, boat", vector(1.0, 0.0))

    assert found.index(first) < found.index({"a storm": "the gale", "the gale": "a storm"}[first])


def test_newer_passages_rank_higher_in_recall(engine, alice):
    for days in (400, 1):
        add_conversation(engine, alice, "the storm", day=datetime.now(UTC) - timedelta(days=days))
    recalled = recall(
        engine, "storm", user_id=alice.id, vector=None, window_start=WindowStart(None, 0), facts=9, passages=9, half_life_days=30
    )

    assert [(datetime.now(UTC) - one.said_at).days for one in recalled.passages] == [1, 400]


def days_ago(days):
    return datetime.now(UTC) - timedelta(days=days)


def recalled_days(engine, person, query, period, passages=9):
    recalled = recall(
        engine,
        query,
        user_id=person.id,
        vector=None,
        window_start=WindowStart(None, 0),
        facts=9,
        passages=passages,
        half_life_days=30,
        period=period,
    )
    return [(datetime.now(UTC) - one.said_at).days for one in recalled.passages]


def period_of(days):
    return Period(days_ago(days + 2).date(), days_ago(days - 2).date())


def test_a_passage_of_a_named_time_is_recalled_before_an_equal_one_of_another(engine, alice):
    for days in (1, 9, 200):
        add_conversation(engine, alice, "the storm", day=days_ago(days))

    assert recalled_days(engine, alice, "storm", None)[0] == 1
    assert recalled_days(engine, alice, "storm", period_of(9))[0] == 9
    assert recalled_days(engine, alice, "storm", period_of(200), passages=1) == [200]


def test_a_named_time_hides_no_better_passage_of_another(engine, alice):
    add_conversation(engine, alice, "the storm tore the sail of the boat", day=days_ago(200))
    add_conversation(engine, alice, "the boat", "nothing of that kind", "sand and sun", day=days_ago(9))

    assert recalled_days(engine, alice, "storm sail boat", period_of(9)) == [200, 9]


def test_a_time_that_no_passage_has_changes_no_score_of_a_search(engine, alice):
    add_conversation(engine, alice, "the boat in the storm", "the boat by the pier", day=days_ago(9))
    with user_scope(engine, alice.id) as connection:
        with_period, without = (
            search_passages(connection, "a storm, a boat", user_id=alice.id, vector=None, limit=9, period=period)
            for period in (period_of(200), None)
        )

    assert with_period == without


def test_recall_excludes_messages_in_the_window(engine, alice):
    conversation_id = add_conversation(engine, alice, "storm one", "storm two", "storm three")
    recalled = recall(
        engine, "storm", user_id=alice.id, vector=None, window_start=WindowStart(conversation_id, 3), facts=9, passages=9, half_life_days=30
    )

    assert {one.first_seq for one in recalled.passages} == {1, 2}


def test_all_of_a_few_current_facts_are_recalled_but_no_ended_ones(engine, alice):
    older = add_memory(engine, alice, "I live in Paris")
    add_memory(engine, alice, "I live in Lyon", supersedes=[older])
    add_memory(engine, alice, "I am allergic to nuts")
    recalled = recall(
        engine, "dinner?", user_id=alice.id, vector=None, window_start=WindowStart(None, 0), facts=9, passages=9, half_life_days=30
    )

    assert {one.text for one in recalled.facts} == {"I live in Lyon", "I am allergic to nuts"}


def test_deleting_a_conversation_deletes_its_passages_and_the_facts_only_it_supports(engine, alice, search):
    first, second = add_conversation(engine, alice, "I like storms"), add_conversation(engine, alice, "I like storms a lot")
    with user_scope(engine, alice.id) as connection:
        origins = [memories.MemoryOrigin(one, _message(connection, alice, one)) for one in (first, second)]
    add_memory(engine, alice, "only there", source="extracted", origins=origins[:1])
    add_memory(engine, alice, "in both", source="extracted", origins=origins)
    add_memory(engine, alice, "by hand", source="user", origins=origins[:1])
    with user_scope(engine, alice.id) as connection:
        conversations.remove(connection, first, user_id=alice.id)
        left = {one.text for one in memories.page(connection, user_id=alice.id, limit=10, after=None)}

    assert left == {"in both", "by hand"}
    assert search("storms") == ["I like storms a lot"]


def _message(connection, person, conversation_id):
    statement = text("SELECT id FROM messages WHERE user_id = :user_id AND conversation_id = :id LIMIT 1")
    return connection.scalar(statement, {"user_id": person.id, "id": conversation_id})


def test_current_facts_are_ordered_by_cosine(engine, alice):
    near, far = add_memory(engine, alice, "near", vector=Vector("m", [2.0, 0.0])), add_memory(engine, alice, "far", vector=NORTH)
    with user_scope(engine, alice.id) as connection:
        held = memories.lock_current(connection, user_id=alice.id, vector=Vector("m", [5.0, 0.0]))

    assert [(one.id, round(one.similarity, 3)) for one in held] == [(near, 1.0), (far, 0.0)]


def test_a_passage_is_dated_by_its_messages(engine, alice):
    add_conversation(engine, alice, "the storm")
    with user_scope(engine, alice.id) as connection:
        (found,) = search_passages(connection, "storm", user_id=alice.id, vector=None, limit=1)

    assert found.said_at == CONVERSATION_DAY


def test_a_passage_of_one_message_is_stored_once(engine, alice, search):
    conversation_id = add_conversation(engine, alice, "the boat in the storm")
    with user_scope(engine, alice.id) as connection:
        stored = passages.covered_ranges(connection, conversation_id, user_id=alice.id, first_seq=1)
        last = stored[-1][-1]
        passage = Passage(last, last, "User: the boat by the pier", datetime.now(UTC))
        for _ in range(2):
            passages.add_missing(connection, conversation_id, [passage], user_id=alice.id, upto_seq=last)

        assert passages.covered_ranges(connection, conversation_id, user_id=alice.id, first_seq=1) == stored


def test_a_passage_of_a_project_is_recalled_among_many_better_ones_outside(engine, alice):
    project_id = new_id()
    with user_scope(engine, alice.id) as connection:
        projects.add(connection, project_id, user_id=alice.id, name="p", instructions=None, memory_scope="project", documents=[])
    add_conversation(engine, alice, "a storm over quite another island with many further words", project_id=project_id)
    add_conversation(engine, alice, *["storm"] * 400)
    recalled = recall(
        engine,
        "storm",
        user_id=alice.id,
        vector=None,
        window_start=WindowStart(None, 0),
        facts=9,
        passages=9,
        half_life_days=30,
        project_id=project_id,
    )

    assert ["another island" in one.text for one in recalled.passages] == [True]


@pytest.mark.parametrize(("seq", "is_tainted"), [(1, True), (2, True), (3, False)])
def test_a_passage_is_tainted_by_sources_up_to_its_last_message(engine, alice, seq, is_tainted):
    conversation_id, said, source = new_id(), [{"type": "text", "text": "A storm."}], [{"type": "source", "number": 1}]
    with user_scope(engine, alice.id) as connection:
        conversations.add(connection, conversation_id, user_id=alice.id)
        for number, role in enumerate(("user", "assistant", "user"), 1):
            parts = source if number == seq else said
            messages.add(connection, new_id(), user_id=alice.id, conversation_id=conversation_id, role=role, parts=parts)
        passage = Passage(1, 2, "User: A storm.", CONVERSATION_DAY)
        passages.replace_turn(connection, conversation_id, [passage], user_id=alice.id, first_seq=1, last_seq=2)
    window = WindowStart(None, 0)
    found = recall(engine, "storm", user_id=alice.id, vector=None, window_start=window, facts=9, passages=9, half_life_days=30)

    assert [one.is_tainted for one in found.passages] == [is_tainted]
