"""What ends sessions ends them: once it has been answered, nothing that was given before opens anything, however it raced."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.auth.sessions import Lifetimes, end_session, refresh, start_session
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import sessions, users
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import ROUNDS, TimedRequest

NEW, THIRD = "quite another sentence to remember", "a third sentence that is remembered"
ORIGIN = ClientOrigin("192.0.2.7")
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename LIKE 'parley_%'"


def log_out(victim, keeper, admin):
    return TimedRequest("POST", "/auth/logout", {}, as_=victim)


def log_out_everywhere(victim, keeper, admin):
    return TimedRequest("POST", "/auth/logout", {"everywhere": True}, as_=keeper)


def end(victim, keeper, admin):
    return TimedRequest("DELETE", f"/auth/sessions/{victim.claims['sid']}", as_=keeper)


def change_password(victim, keeper, admin):
    return TimedRequest("POST", "/auth/password", {"current_password": PASSWORD, "new_password": NEW}, as_=keeper)


def disable(victim, keeper, admin):
    return TimedRequest("PATCH", f"/admin/users/{victim.id}", {"disabled": True}, as_=admin)


def delete(victim, keeper, admin):
    return TimedRequest("DELETE", "/auth/me", {"password": PASSWORD}, as_=keeper)


ENDINGS = [log_out, log_out_everywhere, end, change_password, disable, delete]
ANSWERED = {log_out: 204, log_out_everywhere: 204, end: 204, change_password: 204, disable: 200, delete: 202}


def login(person, password=PASSWORD, **options):
    return TimedRequest("POST", "/auth/login", {"email": person.email, "password": password}, **options)


def refreshing(person, **options):
    return TimedRequest("POST", "/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, **options)


def opens(auth, person):
    """Whether a pair of tokens opens anything: (by access, by refresh)."""
    call = refreshing(person)
    return auth.get("/auth/me", as_=person).status == 200, auth.post(call.path, call.body).status == 200


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_session_ends_all_of_its_tokens_at_once(auth, conversation, admin, alice, ending):
    keeper = Person.signed_in(auth, alice.email)
    renewed = Person.of(alice.email, auth.invoke(refreshing(alice).event()).json)
    assert auth.invoke(ending(alice, keeper, admin).event()).status == ANSWERED[ending]

    assert [opens(auth, person) for person in (alice, renewed)] == [(False, False)] * 2
    assert conversation.get("/conversations", as_=renewed).status == 401


@pytest.mark.parametrize("ending", [log_out, end, change_password])
def test_what_ends_one_session_leaves_the_one_that_asked(auth, admin, alice, ending):
    keeper = Person.signed_in(auth, alice.email)
    auth.invoke(ending(alice, keeper, admin).event())

    assert opens(auth, keeper) == (True, True)


def test_logging_out_needs_no_body(auth, alice):
    assert auth.post("/auth/logout", as_=alice).status == 204


def test_nobody_ends_anothers_session(auth, alice, bob):
    assert auth.delete(f"/auth/sessions/{bob.claims['sid']}", as_=alice).status == 404

    assert opens(auth, bob) == (True, True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_a_refresh_gave_while_the_session_was_ended_is_dead(client_processes, admin, ending):
    chance = random.Random(ending.__name__)
    for _ in range(2 * ROUNDS):
        victim = Person.registered(client_processes)
        keeper = Person.signed_in(client_processes, victim.email)
        calls = [refreshing(victim, delay_s=chance.uniform(0, 0.03)) for _ in range(7)]
        *answers, ended = client_processes.race([*calls, ending(victim, keeper, admin)])
        given = [Person.of(victim.email, answer.json) for answer in answers if answer.status == 200]

        assert ended.status == ANSWERED[ending]
        assert {answer.status for answer in answers} <= {200, 401}
        assert {opens(client_processes, person) for person in [victim, *given[:2], *given[-1:]]} == {(False, False)}


@pytest.mark.parametrize("ending", [change_password, disable, delete])
def test_whatever_a_login_gave_before_the_ending_was_answered_is_dead(client_processes, admin, ending):
    chance = random.Random(ending.__name__)
    for _ in range(ROUNDS):
        victim = Person.registered(client_processes)
        keeper = Person.signed_in(client_processes, victim.email)
        calls = [login(victim, delay_s=chance.uniform(0, 0.02)) for _ in range(7)]
        *answers, ended = client_processes.race([*calls, ending(victim, keeper, admin)])
        given = [Person.of(victim.email, answer.json) for answer in answers if answer.status == 200]

        assert ended.status == ANSWERED[ending]
        assert {answer.status for answer in answers} <= {200, 401}
        assert {opens(client_processes, person) for person in [victim, *given]} == {(False, False)}


@pytest.fixture
def held(engine, alice):
    """A transaction as Alice, of a process that is slow to commit."""
    with user_scope(engine, alice.id) as connection:
        yield connection


@pytest.fixture
def meanwhile(postgres):
    """Start something that another transaction holds up; it has run into the lock, or ended, when this returns."""
    pool = ThreadPoolExecutor(1)

    def start(work, *given, **named):
        started = pool.submit(work, *given, **named)
        while not started.done() and postgres.execute(BLOCKED) == [(0,)]:
            time.sleep(0.01)
        return started

    yield start
    pool.shutdown()


@pytest.fixture
def elsewhere(database):
    """Another process's connection."""
    engine = make_engine(database)
    yield engine
    engine.dispose()


def test_a_refresh_waits_for_an_ending_and_then_sees_it(auth, alice, held, meanwhile):
    end_session(held, alice.principal, alice.principal.session_id, origin=ORIGIN)
    refreshed = meanwhile(auth.invoke, refreshing(alice).event())

    assert not refreshed.done()
    held.commit()
    assert refreshed.result(10).status == 401


def test_an_ending_waits_for_a_refresh_and_then_ends_its_child_too(auth, alice, held, meanwhile):
    session_id = alice.principal.session_id
    assert sessions.lock(held, session_id, user_id=alice.id)
    ended = meanwhile(auth.invoke, log_out(alice, None, None).event())

    assert not ended.done()
    held.commit()
    assert ended.result(10).status == 204
    assert opens(auth, alice) == (False, False)


def test_two_refreshes_take_turns(elsewhere, alice, held, meanwhile):
    from functions.auth.app import services

    assert sessions.lock(held, alice.principal.session_id, user_id=alice.id)
    token = alice.tokens["refresh_token"]
    refreshed = meanwhile(refresh, elsewhere, services.key_ring(), token, lifetimes=Lifetimes(), origin=ORIGIN)

    assert not refreshed.done()
    held.commit()
    assert refreshed.result(10).refresh_token != token


def test_a_login_by_the_old_password_waits_for_the_change_and_fails(auth, alice, held, meanwhile):
    users.set_password_hash(held, alice.id, "another hash")
    sessions.end_all(held, user_id=alice.id)
    logged_in = meanwhile(auth.invoke, login(alice).event())

    assert not logged_in.done()
    held.commit()
    assert logged_in.result(10).status == 401


def test_a_login_waits_for_the_account_to_be_disabled_and_fails(auth, alice, held, meanwhile):
    users.disable(held, alice.id)
    sessions.end_all(held, user_id=alice.id)
    logged_in = meanwhile(auth.invoke, login(alice).event())

    assert not logged_in.done()
    held.commit()
    assert logged_in.result(10).status == 401


@pytest.mark.parametrize("ending", [change_password, disable, delete])
def test_what_ends_sessions_waits_for_a_login_and_ends_its_session_too(auth, admin, alice, held, meanwhile, postgres, ending):
    from functions.auth.app import services

    proven = postgres.execute(f"SELECT password_hash FROM credentials WHERE user_id = '{alice.id}'", dbname="parley")[0][0]
    given = start_session(held, alice.id, proven, key_ring=services.key_ring(), lifetimes=Lifetimes(), origin=ORIGIN, emptied=None)
    late = Person.of(alice.email, {"access_token": given.access_token, "refresh_token": given.refresh_token})
    ended = meanwhile(auth.invoke, ending(alice, alice, admin).event())

    assert not ended.done()
    held.commit()
    assert ended.result(10).status == ANSWERED[ending]
    assert opens(auth, late) == (False, False)


def test_of_two_changes_by_the_same_old_password_the_first_stands(auth, alice, held, meanwhile):
    other = Person.signed_in(auth, alice.email)
    from functions.auth.app import services

    users.set_password_hash(held, alice.id, services.passwords.hash(NEW))
    body = {"current_password": PASSWORD, "new_password": THIRD}
    changed = meanwhile(auth.invoke, TimedRequest("POST", "/auth/password", body, as_=other).event())
    held.commit()

    assert changed.result(10).json["code"] == "wrong_password"
    assert [auth.invoke(login(alice, password).event()).status for password in (PASSWORD, NEW, THIRD)] == [401, 200, 401]


def test_many_changes_by_the_same_old_password_leave_one_password(client_processes):
    for _ in range(ROUNDS):
        person = Person.registered(client_processes)
        wanted = [f"{NEW}, number {number}" for number in range(5)]  # ten guesses in all
        calls = [TimedRequest("POST", "/auth/password", {"current_password": PASSWORD, "new_password": new}, as_=person) for new in wanted]
        answers = client_processes.race(calls)
        works = [client_processes.ask("POST", "/auth/login", login(person, new).body).status == 200 for new in wanted]

        assert works == [answer.status == 204 for answer in answers]
        assert sum(works) == 1
