"""Revocation: after a request that ends sessions has returned, no token issued before works, whatever raced with it."""

import random

import pytest

from functions.auth.sessions import RefreshToken, end_session, refresh, start_session
from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import sessions, users
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import ROUNDS, TimedRequest

NEW, THIRD = "quite another sentence to remember", "a third sentence that is remembered"
ORIGIN = ClientOrigin("192.0.2.7")


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
    """Return whether the access token and the refresh token of a pair still work."""
    call = refreshing(person)
    return auth.get("/auth/me", as_=person).status == 200, auth.post(call.path, call.body).status == 200


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_a_session_revokes_all_its_tokens_immediately(auth, conversation, admin, alice, ending):
    keeper = Person.signed_in(auth, alice.email)
    renewed = Person.of(alice.email, auth.invoke(refreshing(alice).event()).json)
    assert auth.invoke(ending(alice, keeper, admin).event()).status == ANSWERED[ending]

    assert [opens(auth, person) for person in (alice, renewed)] == [(False, False)] * 2
    assert conversation.get("/conversations", as_=renewed).status == 401


@pytest.mark.parametrize("ending", [log_out, end, change_password])
def test_ending_another_session_keeps_the_callers_session(auth, admin, alice, ending):
    keeper = Person.signed_in(auth, alice.email)
    auth.invoke(ending(alice, keeper, admin).event())

    assert opens(auth, keeper) == (True, True)


def test_a_logout_without_a_body_ends_this_session_alone(auth, alice):
    other = Person.signed_in(auth, alice.email)
    assert auth.post("/auth/logout", as_=alice).status == 204

    assert [auth.get("/auth/me", as_=person).status for person in (alice, other)] == [401, 200]


def test_a_user_cannot_end_another_users_session(auth, alice, bob):
    assert auth.delete(f"/auth/sessions/{bob.claims['sid']}", as_=alice).status == 404

    assert opens(auth, bob) == (True, True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_tokens_refreshed_while_the_session_ends_are_revoked(client_processes, admin, ending):
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
def test_tokens_of_a_login_that_races_a_revocation_are_revoked(client_processes, admin, ending):
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
def open_transaction(engine, alice):
    """An open transaction as Alice, of another process that has not committed yet."""
    with user_scope(engine, alice.id) as connection:
        yield connection


@pytest.fixture
def other_engine(database):
    """The connection of another process."""
    engine = make_engine(database)
    yield engine
    engine.dispose()


def test_a_refresh_waits_for_the_end_of_its_session_and_fails(auth, alice, open_transaction, start_blocked):
    end_session(open_transaction, alice.principal, alice.principal.session_id, origin=ORIGIN)
    refreshed = start_blocked(auth.invoke, refreshing(alice).event())

    assert not refreshed.done()
    open_transaction.commit()
    assert refreshed.result(10).status == 401


def lock_session(connection, person):
    """Lock the person's session and refresh token, as a refresh does."""
    token = RefreshToken.parse(person.tokens["refresh_token"])
    return sessions.lock(connection, token.hash, user_id=person.id)


def test_ending_a_session_waits_for_a_refresh_and_revokes_its_successor(auth, alice, open_transaction, start_blocked):
    assert lock_session(open_transaction, alice)
    ended = start_blocked(auth.invoke, log_out(alice, None, None).event())

    assert not ended.done()
    open_transaction.commit()
    assert ended.result(10).status == 204
    assert opens(auth, alice) == (False, False)


def test_concurrent_refreshes_are_serialized(other_engine, alice, open_transaction, start_blocked):
    from functions.auth.app import services

    assert lock_session(open_transaction, alice)
    token = alice.tokens["refresh_token"]
    given = {"lifetimes": services.lifetimes, "origin": ORIGIN, "received_at": utc_now()}
    refreshed = start_blocked(refresh, other_engine, services.key_ring(), token, **given)

    assert not refreshed.done()
    open_transaction.commit()
    assert refreshed.result(10).refresh_token != token


def test_a_login_with_the_old_password_waits_for_the_change_and_fails(auth, alice, open_transaction, start_blocked):
    users.set_password_hash(open_transaction, alice.id, "another hash")
    sessions.end_all(open_transaction, user_id=alice.id)
    logged_in = start_blocked(auth.invoke, login(alice).event())

    assert not logged_in.done()
    open_transaction.commit()
    assert logged_in.result(10).status == 401


def test_a_login_waits_for_the_account_to_be_disabled_and_fails(auth, alice, open_transaction, start_blocked):
    users.disable(open_transaction, alice.id)
    sessions.end_all(open_transaction, user_id=alice.id)
    logged_in = start_blocked(auth.invoke, login(alice).event())

    assert not logged_in.done()
    open_transaction.commit()
    assert logged_in.result(10).status == 401


@pytest.mark.parametrize("ending", [log_out_everywhere, change_password, disable, delete])
def test_ending_sessions_waits_for_a_login_and_ends_its_session_too(auth, admin, alice, open_transaction, start_blocked, postgres, ending):
    from functions.auth.app import services

    password_hash = postgres.execute(f"SELECT password_hash FROM credentials WHERE user_id = '{alice.id}'", dbname="parley")[0][0]
    options = {"key_ring": services.key_ring(), "lifetimes": services.lifetimes, "origin": ORIGIN, "reset_buckets": None}
    given = start_session(open_transaction, alice.id, password_hash, **options)
    late = Person.of(alice.email, {"access_token": given.access_token, "refresh_token": given.refresh_token})
    ended = start_blocked(auth.invoke, ending(alice, alice, admin).event())

    assert not ended.done()
    open_transaction.commit()
    assert ended.result(10).status == ANSWERED[ending]
    assert opens(auth, late) == (False, False)


def test_of_two_changes_with_the_same_old_password_the_first_wins(auth, alice, open_transaction, start_blocked):
    other = Person.signed_in(auth, alice.email)
    from functions.auth.app import services

    users.set_password_hash(open_transaction, alice.id, services.passwords.hash(NEW))
    body = {"current_password": PASSWORD, "new_password": THIRD}
    changed = start_blocked(auth.invoke, TimedRequest("POST", "/auth/password", body, as_=other).event())
    open_transaction.commit()

    assert changed.result(10).json["code"] == "wrong_password"
    assert [auth.invoke(login(alice, password).event()).status for password in (PASSWORD, NEW, THIRD)] == [401, 200, 401]


def test_many_changes_with_the_same_old_password_leave_one_password(client_processes):
    for _ in range(ROUNDS):
        person = Person.registered(client_processes)
        wanted = [f"{NEW}, number {number}" for number in range(5)]  # ten attempts in all
        calls = [TimedRequest("POST", "/auth/password", {"current_password": PASSWORD, "new_password": new}, as_=person) for new in wanted]
        answers = client_processes.race(calls)
        works = [client_processes.ask("POST", "/auth/login", login(person, new).body).status == 200 for new in wanted]

        assert works == [answer.status == 204 for answer in answers]
        assert sum(works) == 1
