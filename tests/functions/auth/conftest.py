"""Fixtures of the account tests: the clock, the registration policy, the upkeep queue and an admin."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from functions.auth import account
from functions.auth.registration_policy import RegistrationPolicy
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, users
from parley.db.transactions import user_scope
from parley.jobs import CheckTurn, Job, RingAlarm, parse_job
from tests.fakes.oidc_issuer import Browser, FakeIssuer, directory_of, person, serving_issuer
from tests.support.api_gateway import Answer, Function, Person
from tests.support.concurrency import impatient
from tests.support.time_limits import HANG_S

ADMIN = "admin@example.com"
NEW = "quite another sentence to remember"
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename LIKE 'parley_%'"


@pytest.fixture
def clock(time_machine: Any) -> Any:
    """A frozen clock that only the test moves."""
    time_machine.move_to(datetime.now(UTC).replace(microsecond=0), tick=False)
    return time_machine


@pytest.fixture
def set_registration_policy(auth: Function, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the registration policy: `set_registration_policy(registration="closed")`."""
    from functions.auth.app import app, services

    def choose(*, registration: Any = "open", domains: str = "", verifies_email: bool = False) -> None:
        registration_policy = RegistrationPolicy.of(registration, domains=domains, admin_email=ADMIN, verifies_email=verifies_email)
        monkeypatch.setitem(app._app.state._state, "services", replace(services, registration_policy=registration_policy))

    return choose


@pytest.fixture
def change_services(auth: Function, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces fields of the services: `change_services(throttle=…)`."""
    from functions.auth.app import app

    state = app._app.state._state
    return lambda **parts: monkeypatch.setitem(state, "services", replace(state["services"], **parts))


@pytest.fixture
def elsewhere(auth: Function, engines: Any) -> AuthServices:
    """The services of another worker, whose transactions run beside those of the function under test."""
    from functions.auth.app import services

    return replace(services, engine=engines["app"], background=engines["background"])


@pytest.fixture
def change_password_after(alice: Person, engine: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[str]]:
    """Return a function: `change_password_after(users, "change_email")` tries to change alice's password after each call of `change_email`.

    It returns the list of changes that did not have to wait.
    """

    def try_after(module: Any, name: str) -> list[str]:
        function, changes = getattr(module, name), list[str]()

        def call_and_change(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            with user_scope(engine, alice.id) as connection, impatient(connection):
                users.set_password_hash(connection, alice.id, "another")
                changes.append(name)
            return result

        monkeypatch.setattr(module, name, call_and_change)
        return changes

    return try_after


@pytest.fixture
def start_blocked(postgres: Any) -> Iterator[Callable[..., Future[Any]]]:
    """Start work that another transaction blocks; return once it waits for the lock or has ended."""
    pool = ThreadPoolExecutor(1)

    def start(work: Callable[..., Any], *given: Any, **named: Any) -> Future[Any]:
        started = pool.submit(work, *given, **named)
        while not started.done() and postgres.execute(_BLOCKED) == [(0,)]:
            time.sleep(0.01)
        return started

    yield start
    pool.shutdown()


@pytest.fixture
def beside(start_blocked: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], Any]]:
    """Return a function that starts work after the next call of a function, while the caller's locks are held.

    `finished = beside(second_factors, "advance", reset)` returns a function that waits for the work's result.
    """

    def start_after(module: Any, name: str, work: Callable[..., Any], *given: Any, **named: Any) -> Callable[[], Any]:
        function, started = getattr(module, name), list[Future[Any]]()

        def call_and_start(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            monkeypatch.setattr(module, name, function)
            started.append(start_blocked(work, *given, **named))
            return result

        monkeypatch.setattr(module, name, call_and_start)
        return lambda: started[0].result(HANG_S)

    return start_after


@pytest.fixture
def code_of(engine: Any, alice: Person) -> Callable[..., str]:
    """Return a function that makes a code of a purpose for alice."""

    def make(purpose: Any, **fields: Any) -> str:
        created = OneTimeCode.new(alice.id)
        with user_scope(engine, alice.id) as connection:
            one_time_codes.add(connection, created.hash, user_id=alice.id, purpose=purpose, lifetime=timedelta(minutes=10), **fields)
        return str(created)

    return make


@pytest.fixture
def reset(alice: Person, elsewhere: AuthServices, code_of: Callable[..., str]) -> Callable[[], None]:
    """Reset alice's password in another worker. Nobody has proven her address, so passkeys and the second factor go too."""
    given = {"email": alice.email, "code": code_of("reset_password"), "new_password": NEW}
    return partial(account.reset_password, elsewhere, **given, origin=ClientOrigin("192.0.2.9"))


@pytest.fixture
def queued(auth: Function) -> Iterator[Callable[[], list[Job]]]:
    """Return a function that removes and returns the jobs sent to upkeep since the test began."""
    from functions.auth.app import settings

    client, url = boto3.client("sqs"), settings.upkeep_queue_url

    def take() -> list[Job]:
        taken: list[Job] = []
        while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            taken += [parse_job(message["Body"]) for message in found]
            for message in found:
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message for message in taken if not isinstance(message, CheckTurn | RingAlarm)]  # late messages of earlier tests

    take()
    yield take
    take()


@pytest.fixture
def admin(auth: Function, postgres: Any) -> Person:
    """A user with the admin role, logged in after the role was granted."""
    person = Person.registered(auth)
    postgres.execute(f"UPDATE users SET role = 'admin' WHERE id = '{person.id}'", dbname="parley")
    return Person.signed_in(auth, person.email)


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    """An issuer that signs in somebody new."""
    with serving_issuer(FakeIssuer(person=person())) as served:
        yield served


@pytest.fixture
def configure(auth: Function, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that configures the issuer, and further ones, with these options: `configure(admin_groups=["chiefs"])`."""
    from functions.auth.app import app

    def configure(*others: FakeIssuer, passwords: bool = True, **options: Any) -> Any:
        state, issuers = app._app.state._state, directory_of(issuer, *others, **options)
        monkeypatch.setitem(state, "services", replace(state["services"], issuers=issuers, allows_passwords=passwords))
        return issuers

    return configure


@pytest.fixture
def browser(auth: Function, issuer: FakeIssuer, configure: Callable[..., Any]) -> Browser:
    """The browser of the person, at a deployment with the issuer `corp`."""
    configure()
    return Browser(auth, issuer)


@pytest.fixture
def set_member(auth: Function) -> Callable[..., Answer]:
    """Return a function that invites an address to a group, or sets a member's role."""

    def put(group: str, email: str, *, as_: Person, role: str = "member") -> Answer:
        return auth.call("PUT", f"/auth/groups/{group}/members", {"email": email, "role": role}, as_=as_)

    return put


@pytest.fixture
def remove_member(auth: Function) -> Callable[..., Answer]:
    """Return a function that removes a member of a group or an invitation."""

    def delete(group: str, email: str, *, as_: Person) -> Answer:
        return auth.call("DELETE", f"/auth/groups/{group}/members", {"email": email}, as_=as_)

    return delete


@pytest.fixture
def group(auth: Function, alice: Person, bob: Person, set_member: Callable[..., Answer]) -> str:
    """A group of alice's that bob has joined."""
    group_id: str = auth.post("/auth/groups", {"name": "Research"}, as_=alice).json["id"]
    assert set_member(group_id, bob.email, as_=alice).status == 200
    assert auth.post(f"/auth/groups/{group_id}/join", as_=bob).json["role"] == "member"
    return group_id
