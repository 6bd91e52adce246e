"""Limits on login attempts: per account, per network and overall, for every route that takes a password or a code."""

import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from functions.auth.errors import TooManyAttempts
from functions.auth.login_throttle import LoginThrottle, count_attempt
from functions.auth.passwords import Passwords
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.settings import DatabaseSettings
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import ROUNDS, TimedRequest

BAD, NEW = "not the pass phrase", "quite another sentence to remember"
HOME, ELSEWHERE = "192.0.2.7", "203.0.113.9"
LIMIT = 10


class Counting(Passwords):
    """A fake hasher that counts comparisons, so that the tests do not wait for Argon2."""

    def __init__(self):
        super().__init__(min_length=12, memory_kib=8, passes=1)
        self.compared = 0

    def is_right(self, password, password_hash):
        self.compared += 1
        return super().is_right(password, password_hash)


@pytest.fixture(autouse=True)
def passwords(auth, monkeypatch):
    from functions.auth.app import app

    counting = Counting()
    state = app._app.state._state
    monkeypatch.setitem(state, "services", replace(state["services"], passwords=counting))
    return counting


@pytest.fixture
def limited_network(change_services):
    """Limit a network to five attempts, and leave accounts unlimited."""
    change_services(throttle=LoginThrottle(per_account=1000, per_address=5, per_minute=100_000))


@pytest.fixture
def age_bucket(auth, postgres):
    """Return a function that ages an account's bucket for unknown networks: `age_bucket(email, 60)` seconds."""
    from functions.auth.app import services

    def move(email, seconds, *, in_a_row="in_a_row"):
        key = services.throttle.password_buckets(email, ClientOrigin(ELSEWHERE)).account.key.hex()
        change = f"free_at = free_at - interval '{seconds} seconds', in_a_row = {in_a_row}"
        postgres.execute(f"UPDATE guesses SET {change} WHERE key = decode('{key}', 'hex')", dbname="parley")

    return move


@pytest.fixture
def set_clock_back(postgres):
    """Return a function that moves the times of all buckets ahead, as if the database's clock were set back: `set_clock_back(3600)`."""

    def move(seconds):
        postgres.execute(f"UPDATE guesses SET free_at = free_at + interval '{seconds} seconds'", dbname="parley")

    yield move
    postgres.execute("DELETE FROM guesses", dbname="parley")


def login(email, password=BAD, *, address=ELSEWHERE, headers=None):
    return TimedRequest("POST", "/auth/login", {"email": email, "password": password}, address=address, headers=headers or {})


def statuses(auth, calls):
    return [auth.invoke(call.event()).status for call in calls]


def exhaust(auth, email, *, address=ELSEWHERE):
    assert statuses(auth, [login(email, address=address)] * (LIMIT + 1)) == [401] * LIMIT + [429]


def wait_s(answer):
    assert (answer.status, answer.json["code"]) == (429, "rate_limited")
    return int(answer.headers["retry-after"])


@pytest.mark.parametrize("is_known", [True, False])
def test_of_200_concurrent_attempts_ten_reach_the_hash(client_processes, is_known):
    for _ in range(max(1, ROUNDS // 3)):
        email = Person.registered(client_processes).email if is_known else f"{uuid4()}@example.com"
        client_processes.compared()
        answers = [answer for _ in range(4) for answer in client_processes.race([login(email)] * 50)]

        assert client_processes.compared() == LIMIT
        assert sorted(answer.status for answer in answers) == [401] * LIMIT + [429] * 190
        assert {wait_s(answer) for answer in answers if answer.status == 429} <= set(range(70, 91))


def test_attempts_from_all_networks_add_up(client_processes):
    email = Person.registered(client_processes).email
    client_processes.compared()
    answers = client_processes.race([login(email, address=f"198.51.100.{number}") for number in range(50)])

    assert (client_processes.compared(), sum(answer.status == 401 for answer in answers)) == (LIMIT, LIMIT)


def test_unknown_addresses_are_throttled_alike(auth, alice):
    known, unknown = (statuses(auth, [login(email)] * 13) for email in (alice.email, f"{uuid4()}@example.com"))

    assert known == unknown == [401] * LIMIT + [429] * 3


def test_every_spelling_of_an_address_counts_for_the_same_account(auth, alice):
    requests = [alice.email.upper(), f" {alice.email}", alice.email.title(), alice.email, f"{alice.email} "]

    assert statuses(auth, [login(way) for way in requests * 3]) == [401] * LIMIT + [429] * 5


def test_retry_after_is_exact(auth, alice, age_bucket):
    exhaust(auth, alice.email)
    told_s = wait_s(auth.invoke(login(alice.email).event()))
    age_bucket(alice.email, told_s - 2)

    assert wait_s(auth.invoke(login(alice.email).event())) <= 2
    age_bucket(alice.email, 2)
    assert statuses(auth, [login(alice.email)] * 2) == [401, 429]


def test_a_throttled_attempt_is_not_compared_even_if_it_is_right(auth, alice, passwords):
    exhaust(auth, alice.email)
    before = passwords.compared

    assert statuses(auth, [login(alice.email, PASSWORD)]) == [429]
    assert passwords.compared == before


def guesses_at(person):
    """Every request that tries a password."""
    body = {"email": person.email, "password": BAD}
    return [
        TimedRequest("POST", "/auth/login", body),
        TimedRequest("DELETE", "/auth/me", {"password": BAD}, as_=person),
        TimedRequest("POST", "/auth/password", {"current_password": BAD, "new_password": NEW}, as_=person),
        TimedRequest("POST", "/auth/email", {"password": BAD, "new_email": "new@example.com"}, as_=person),
    ]


@pytest.mark.parametrize("last", range(4))
def test_attempts_of_every_route_add_up(auth, alice, last):
    requests = guesses_at(alice)
    answered = statuses(auth, (requests * 3)[:LIMIT])

    assert answered == [401, 403, 403, 403, 401, 403, 403, 403, 401, 403]
    assert statuses(auth, [requests[last]]) == [429]


@pytest.mark.parametrize("way", [0, 2, 3])
def test_a_right_password_resets_the_accounts_bucket(auth, alice, way):
    right = [
        TimedRequest("POST", "/auth/login", {"email": alice.email, "password": PASSWORD}),
        None,
        TimedRequest("POST", "/auth/password", {"current_password": PASSWORD, "new_password": NEW}, as_=alice),
        TimedRequest("POST", "/auth/email", {"password": PASSWORD, "new_email": f"{uuid4()}@example.com"}, as_=alice),
    ][way]
    wrong = TimedRequest("POST", "/auth/login", {"email": alice.email, "password": BAD})
    assert statuses(auth, [wrong] * 9 + [right]) == [401] * 9 + [[200, None, 204, 202][way]]

    assert statuses(auth, [wrong] * 11) == [401] * 10 + [429]


def test_a_persistent_stranger_does_not_lock_out_the_owner_on_a_known_network(auth, alice):
    exhaust(auth, alice.email)

    assert statuses(auth, [login(alice.email, PASSWORD, address=HOME)]) == [200]


def test_a_known_network_is_forgotten_after_a_month(auth, alice, postgres):
    postgres.execute(f"UPDATE sessions SET created_at = now() - interval '31 days' WHERE user_id = '{alice.id}'", dbname="parley")
    exhaust(auth, alice.email)

    assert statuses(auth, [login(alice.email, PASSWORD, address=HOME)]) == [429]


def test_after_a_hundred_failures_in_a_row_one_attempt_per_hour_remains(auth, alice, age_bucket):
    exhaust(auth, alice.email)
    age_bucket(alice.email, 24 * 3600, in_a_row="100")
    assert statuses(auth, [login(alice.email)] * 2) == [401, 429]
    age_bucket(alice.email, 24 * 3600)
    assert statuses(auth, [login(alice.email)] * 2) == [401, 429]

    for _ in range(24):
        age_bucket(alice.email, 3590)
        age_bucket(alice.email, 20)
        assert statuses(auth, [login(alice.email)] * 2) == [401, 429]
    age_bucket(alice.email, 3610)
    assert statuses(auth, [login(alice.email, PASSWORD)] + [login(alice.email)] * 11) == [200] + [401] * 10 + [429]


def test_the_hundred_failures_count_however_slowly_they_come(auth, alice, age_bucket, postgres):
    for _ in range(100):
        assert statuses(auth, [login(alice.email)]) == [401]
        age_bucket(alice.email, 900)
    assert statuses(auth, [login(alice.email)]) == [401]

    assert 2_700 < wait_s(auth.invoke(login(alice.email).event())) <= 3_600


def test_a_database_clock_that_is_set_back_locks_nobody_out(auth, alice, set_clock_back):
    assert statuses(auth, [login(alice.email), login(alice.email, address=HOME)]) == [401, 401]
    set_clock_back(3600)

    assert statuses(auth, [login(alice.email, PASSWORD), login(alice.email, PASSWORD, address=HOME)]) == [200, 200]


def test_a_database_clock_that_is_set_back_keeps_the_count_of_guesses(auth, alice, set_clock_back, age_bucket):
    exhaust(auth, alice.email)
    set_clock_back(3600)

    assert statuses(auth, [login(alice.email)] * 5) == [401] + [429] * 4
    assert 60 < wait_s(auth.invoke(login(alice.email).event())) <= 90
    age_bucket(alice.email, 91)
    assert statuses(auth, [login(alice.email)] * 2) == [401, 429]


def test_a_database_clock_that_is_set_back_leaves_one_attempt_per_hour_after_a_hundred_failures(auth, alice, set_clock_back, age_bucket):
    exhaust(auth, alice.email)
    age_bucket(alice.email, 24 * 3600, in_a_row="100")
    assert statuses(auth, [login(alice.email)] * 2) == [401, 429]
    set_clock_back(2 * 3600)

    assert statuses(auth, [login(alice.email)] * 3) == [401, 429, 429]
    assert 3_500 < wait_s(auth.invoke(login(alice.email).event())) <= 3_600


def test_a_clock_that_goes_back_by_less_than_a_minute_admits_no_further_guess(auth, alice, set_clock_back):
    exhaust(auth, alice.email)
    set_clock_back(50)

    assert statuses(auth, [login(alice.email)] * 3) == [429] * 3


def test_a_bucket_of_a_later_clock_does_not_lengthen_the_wait(auth, set_clock_back):
    from functions.auth.app import services

    account, overall = (ThrottleBucket.of(kind, str(uuid4()), burst=1, window_s=30) for kind in ("account", "overall"))
    count_attempt(services.background, [overall])
    set_clock_back(3600)
    count_attempt(services.background, [account])
    with pytest.raises(TooManyAttempts) as refused:
        count_attempt(services.background, [account, overall])

    assert refused.value.retry_after_s <= 30


@pytest.mark.parametrize("offset_s", [-3600, 3600])
def test_the_clock_of_a_worker_changes_no_limit(auth, alice, offset_s, monkeypatch):
    exhaust(auth, alice.email)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + offset_s)

    assert statuses(auth, [login(alice.email)] * 3) == [429] * 3


def test_a_password_reset_resets_the_accounts_bucket(auth, alice, engine):
    code = OneTimeCode.new(alice.id)
    with user_scope(engine, alice.id) as connection:
        one_time_codes.add(connection, code.hash, user_id=alice.id, purpose="reset_password", lifetime=timedelta(minutes=10))
    exhaust(auth, alice.email)
    body = {"email": alice.email, "code": str(code), "new_password": NEW}

    assert statuses(auth, [TimedRequest("POST", "/auth/password/reset", body, address=ELSEWHERE), login(alice.email, NEW)]) == [204, 200]


def test_right_passwords_do_not_use_up_the_networks_limit(auth, change_services):
    network = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
    people = [Person.registered(auth) for _ in range(8)]
    change_services(throttle=LoginThrottle(per_account=1000, per_address=5, per_minute=100_000))

    assert statuses(auth, [login(person.email, PASSWORD, address=network) for person in people]) == [200] * 8
    assert statuses(auth, [login(people[0].email, address=network)] * 6) == [401] * 5 + [429]


def test_one_account_cannot_log_in_without_end_from_one_network(auth, alice, change_services):
    network = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
    change_services(throttle=LoginThrottle(per_account=2, per_address=5, per_minute=100_000))

    assert statuses(auth, [login(alice.email, PASSWORD, address=network)] * 8) == [200] * 7 + [429]


HEADERS = ["X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "CF-Connecting-IP", "X-Client-Ip"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_do_not_change_the_network(auth, limited_network, header):
    address = f"198.51.100.{HEADERS.index(header)}"
    forged_headers = [{header: f"for=10.0.0.{number}" if header == "Forwarded" else f"10.0.0.{number}"} for number in range(6)]
    calls = [login(f"{uuid4()}@example.com", address=address, headers=headers) for headers in forged_headers]

    assert statuses(auth, calls) == [401] * 5 + [429]


def test_an_ipv6_prefix_is_one_network(auth, limited_network):
    network = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}"
    calls = [login(f"{uuid4()}@example.com", address=f"{network}:{number:x}::{number:x}") for number in range(1, 7)]
    neighbour = login(f"{uuid4()}@example.com", address=f"2001:db8:1:{uuid4().hex[:4]}::1")

    assert statuses(auth, calls) == [401] * 5 + [429]
    assert statuses(auth, [neighbour]) == [401]


def attempts_from(address, person):
    """Every request that tries a code or costs as much."""
    code, email = str(OneTimeCode.new(uuid4())), f"{uuid4()}@example.com"
    return [
        TimedRequest("POST", "/auth/verify", {"email": email, "code": code}, address=address),
        TimedRequest("POST", "/auth/password/reset", {"email": email, "code": code, "new_password": NEW}, address=address),
        TimedRequest("POST", "/auth/email/confirm", {"code": code}, as_=person, address=address),
        TimedRequest("POST", "/auth/password/forgot", {"email": email}, address=address),
        TimedRequest("POST", "/auth/register", {"email": email, "password": PASSWORD}, address=address),
    ]


@pytest.mark.parametrize("last", range(5))
def test_codes_and_mails_are_counted_per_network(auth, alice, limited_network, last):
    calls = attempts_from(f"198.51.100.{100 + last}", alice)

    assert statuses(auth, [*calls, calls[last]]) == [422, 422, 422, 202, 201, 429]


def test_the_overall_limit_applies_to_every_network(auth, alice, change_services, postgres):
    postgres.execute("DELETE FROM guesses", dbname="parley")
    change_services(throttle=LoginThrottle(per_account=1000, per_address=1000, per_minute=3))
    calls = [login(f"{uuid4()}@example.com", address=f"198.51.100.{number}") for number in range(4)]

    assert statuses(auth, calls) == [401, 401, 401, 429]
    postgres.execute("DELETE FROM guesses", dbname="parley")


def test_strangers_who_exhaust_the_overall_limit_do_not_lock_out_an_owner_on_a_known_network(auth, alice, change_services, postgres):
    postgres.execute("DELETE FROM guesses", dbname="parley")
    change_services(throttle=LoginThrottle(per_account=1000, per_address=1000, per_minute=3))
    statuses(auth, [login(f"{uuid4()}@example.com")] * 4)
    answers = statuses(auth, [login(alice.email, PASSWORD), login(alice.email, PASSWORD, address=HOME)])

    assert answers == [429, 200]
    postgres.execute("DELETE FROM guesses", dbname="parley")


def test_without_the_throttle_store_no_password_is_compared(auth, alice, change_services, database, passwords):
    gone = DatabaseSettings.model_validate(database.model_dump() | {"database_port": 9})
    change_services(background=make_engine(gone, role="background"))
    calls = guesses_at(alice) + attempts_from("198.51.100.200", alice)

    assert statuses(auth, calls) == [503] * len(calls)
    assert passwords.compared == 0


@pytest.mark.parametrize("password", [PASSWORD, BAD])
def test_a_disabled_account_is_throttled_like_an_unknown_one(auth, alice, postgres, password):
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'", dbname="parley")

    assert statuses(auth, [login(alice.email, password)] * 11) == [401] * 10 + [429]
