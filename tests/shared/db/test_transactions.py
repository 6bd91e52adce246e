from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError

from parley.auth.principal import Principal
from parley.db import conversations
from parley.db.accounts import sessions
from parley.db.engine import make_engine
from parley.db.transactions import global_scope, principal_scope, run_global_statement, run_statement, user_scope
from parley.errors import Unauthorized, Unavailable
from parley.ids import new_id
from parley.settings import DatabaseSettings
from tests.support.api_gateway import PASSWORD

COUNT = text("SELECT count(*) FROM conversations")


def make_conversation(engine, person):
    with principal_scope(engine, person.principal) as connection:
        return conversations.add(connection, new_id(), user_id=person.id, title="mine")


def test_a_user_sees_their_own_rows(engine, alice):
    make_conversation(engine, alice)

    with principal_scope(engine, alice.principal) as connection:
        assert connection.scalar(COUNT) == 1


def test_a_user_sees_only_their_own_rows_even_without_a_filter_in_the_query(engine, alice, bob):
    make_conversation(engine, alice)

    with principal_scope(engine, bob.principal) as connection:
        assert connection.scalar(COUNT) == 0


def test_a_user_cannot_write_rows_for_another(engine, alice, bob):
    with pytest.raises(Exception, match="row-level security"), principal_scope(engine, bob.principal) as connection:
        conversations.add(connection, new_id(), user_id=alice.id)


def test_a_transaction_without_a_user_sees_no_rows_on_a_used_connection(engine, alice):
    make_conversation(engine, alice)

    with global_scope(engine) as connection:
        assert connection.scalar(COUNT) == 0


def test_an_ended_session_is_unauthorized(engine, alice):
    with user_scope(engine, alice.id) as connection:
        sessions.end(connection, alice.principal.session_id, user_id=alice.id)

    with pytest.raises(Unauthorized), principal_scope(engine, alice.principal):
        pass


def test_the_log_names_the_session_that_has_ended(engine, alice):
    with user_scope(engine, alice.id) as connection:
        sessions.end(connection, alice.principal.session_id, user_id=alice.id)

    with pytest.raises(Unauthorized, match=f"session {alice.principal.session_id} has ended"), principal_scope(engine, alice.principal):
        pass


def test_another_users_session_is_unauthorized(engine, alice, bob):
    mixed = Principal(alice.id, bob.principal.session_id, None, alice.principal.scopes, alice.principal.expires_at)

    with pytest.raises(Unauthorized), principal_scope(engine, mixed):
        pass


def test_an_api_key_is_unauthorized_from_its_end_on(auth, engine, postgres, alice):
    created = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice).json
    principal = replace(alice.principal, session_id=None, api_key_id=UUID(created["id"]))
    with principal_scope(engine, principal):
        pass
    postgres.execute(f"UPDATE api_keys SET expires_at = now() WHERE id = '{created['id']}'", dbname="parley")

    with pytest.raises(Unauthorized), principal_scope(engine, principal):
        pass


def test_a_failed_transaction_is_rolled_back(engine, alice):
    with pytest.raises(ZeroDivisionError), principal_scope(engine, alice.principal) as connection:
        conversations.add(connection, new_id(), user_id=alice.id)
        raise ZeroDivisionError

    with principal_scope(engine, alice.principal) as connection:
        assert connection.scalar(COUNT) == 0


def test_a_dead_pooled_connection_is_replaced_silently(engine, engines, alice, postgres):
    with global_scope(engine) as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    postgres.terminate_backend(pid)

    with principal_scope(engine, alice.principal) as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != pid


def test_a_connection_that_dies_during_a_transaction_is_a_503(engine, alice, postgres):
    with pytest.raises(Unavailable), principal_scope(engine, alice.principal) as connection:
        postgres.terminate_backend(connection.scalar(text("SELECT pg_backend_pid()")))
        connection.scalar(COUNT)


def test_an_unreachable_database_is_a_503(database):
    gone = make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_port": 9}))

    with pytest.raises(Unavailable) as caught, user_scope(gone, uuid4()):
        pass
    assert caught.value.retry_after_s


def test_a_worker_whose_only_connection_is_in_use_fails_instead_of_waiting(database, alice):
    busy = make_engine(database)
    with user_scope(busy, alice.id), pytest.raises(Unavailable), user_scope(busy, alice.id):
        pass
    busy.dispose()


RUNS = {
    "of no user": run_global_statement,
    "of a user": lambda engine, statement: run_statement(engine, statement, user_id=uuid4()),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_single_statement_begins_no_transaction_that_takes_further_round_trips(engine, run):
    assert run(engine, text("SELECT now() = statement_timestamp() AS is_alone")).is_alone


def test_a_statement_that_fails_on_a_good_connection_is_not_repeated(database):
    own, failures = make_engine(database), []
    event.listen(own, "handle_error", failures.append)
    with pytest.raises(DataError):
        run_global_statement(own, text("SELECT 1 / 0"))
    own.dispose()

    assert len(failures) == 1
