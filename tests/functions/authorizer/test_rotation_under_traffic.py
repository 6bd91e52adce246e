"""Key rotation during traffic: the real handler, a real HTTP server of keys, the key store in moto, and a clock that the tests move."""

import secrets
import threading
from collections import Counter, deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine

from functions.authorizer.jwks import KeySource
from functions.keys.rotation import rotate
from parley.auth.key_cache import KeyCache
from parley.auth.key_store import ensure_keys, load_keys
from parley.clock import utc_now
from tests.functions.authorizer.events import ME_ROUTE, authorizer_request
from tests.support.time_limits import HANG_S
from tests.support.tokens import ISSUER, make_access_token, make_api_key

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
REGULAR, EMERGENCY = frozenset(), frozenset({"signing"})


class Deployment:
    """A deployment with two auth functions, one signing and one publishing keys, and an authorizer, each with its own cache."""

    def __init__(self, jwks, handler, monkeypatch):
        self.path = f"/parley/{secrets.token_hex(4)}/keys"
        ensure_keys(self.path)
        clock = lambda: utc_now().timestamp()  # noqa: E731
        self.ring, self.published = (KeyCache(partial(load_keys, self.path, issuer=ISSUER), clock=clock) for _ in range(2))
        jwks.document, self.handler = lambda: self.published().jwks(), handler
        monkeypatch.setattr("functions.authorizer.app.keys", KeySource(jwks.url, clock=clock))
        self.verdicts, self.signed_by = Counter(), set()

    def wake(self, travelling):
        """Make both auth functions read their keys: the signing one five seconds before the publishing one."""
        self.ring()
        travelling.shift(5)
        self.published()

    def token(self):
        key = self.ring().newest
        self.signed_by.add(key.kid)
        return make_access_token(key=key)

    def accepts(self, token):
        try:
            self.handler(authorizer_request(ME_ROUTE, {"Authorization": f"Bearer {token}"}), None)
        except Exception as exc:
            self.verdicts[f"{type(exc).__name__}: {exc}"] += 1
            return False
        self.verdicts["accepted"] += 1
        return True

    @contextmanager
    def traffic(self, *, workers=4):
        """Verify new and older tokens continuously; yield a function that waits for further verifications."""
        stop, rounds, issued_tokens = threading.Event(), [threading.Semaphore(0) for _ in range(workers)], deque(maxlen=200)

        def work(done):
            while not stop.is_set():
                issued_tokens.append((utc_now(), self.token()))
                self.accepts(issued_tokens[-1][1])
                issued, old = issued_tokens[0]
                if utc_now() - issued < timedelta(minutes=9):
                    self.accepts(old)
                done.release()

        def some_more():
            for done in rounds:
                while done.acquire(blocking=False):
                    pass  # a round before this call
            # The first of three rounds may have begun before this call.
            assert all(done.acquire(timeout=HANG_S) for done in rounds for _ in range(3))

        threads = [threading.Thread(target=work, args=(done,)) for done in rounds]
        [thread.start() for thread in threads]
        try:
            yield some_more
        finally:
            stop.set()
            [thread.join() for thread in threads]


@pytest.fixture
def travelling():
    with time_machine.travel(START, tick=False) as travelling:
        yield travelling


@pytest.fixture
def deployment(travelling, jwks, handler, monkeypatch):
    return Deployment(jwks, handler, monkeypatch)


def test_no_valid_token_is_refused_during_rotation(deployment, travelling):
    for _ in range(3):
        travelling.shift(timedelta(days=30))
        deployment.wake(travelling)
        with deployment.traffic() as some_more:
            some_more()
            rotate(deployment.path, revoked_families=REGULAR, now=utc_now())
            for _ in range(60):
                some_more()
                travelling.shift(5)

    assert set(deployment.verdicts) == {"accepted"}
    assert len(deployment.signed_by) == 4
    assert deployment.verdicts["accepted"] > 1000


def test_removing_a_key_an_hour_after_its_succession_breaks_no_token(deployment, travelling):
    for later in (timedelta(days=30), timedelta(hours=2)):
        travelling.shift(later)
        deployment.wake(travelling)
        with deployment.traffic() as some_more:
            some_more()
            rotation = rotate(deployment.path, revoked_families=REGULAR, now=utc_now())
            for _ in range(40):
                some_more()
                travelling.shift(7)

    assert len([name for name in rotation.removed if name.startswith("signing/")]) == 1
    assert set(deployment.verdicts) == {"accepted"}


@pytest.mark.parametrize("cached_s", range(0, 10, 3))
@pytest.mark.parametrize("fetched_s", range(0, 20, 3))
def test_within_thirty_seconds_of_an_emergency_no_old_token_is_accepted(deployment, travelling, cached_s, fetched_s):
    """The gateway's cache adds thirty seconds, sixty in all."""
    stolen = deployment.token()
    travelling.shift(fetched_s)
    deployment.published()  # read up to ten seconds ago, so the next fetch may still return old keys
    travelling.shift(cached_s)
    deployment.accepts(stolen)
    rotate(deployment.path, revoked_families=EMERGENCY, now=utc_now())
    believed_s = []
    for second in range(60):
        believed_s += [second] if deployment.accepts(stolen) else []
        travelling.shift(1)

    assert believed_s[-1:] == [] or believed_s[-1] < 30


def test_after_an_emergency_new_tokens_and_api_keys_are_valid(deployment, travelling):
    key = make_api_key(key=deployment.ring().newest_api)
    rotate(deployment.path, revoked_families=EMERGENCY, now=utc_now())
    travelling.shift(11)

    assert deployment.accepts(deployment.token())
    assert deployment.accepts(key)


def test_after_an_emergency_for_api_keys_they_are_invalid(deployment, travelling):
    key = make_api_key(key=deployment.ring().newest_api)
    assert deployment.accepts(key)
    rotate(deployment.path, revoked_families=EMERGENCY | {"api"}, now=utc_now())
    travelling.shift(31)

    assert not deployment.accepts(key)


def test_a_flood_of_unknown_keys_does_not_hide_a_new_key(deployment, travelling, jwks):
    travelling.shift(timedelta(days=30))
    rotate(deployment.path, revoked_families=REGULAR, now=utc_now())
    for second in range(240):
        travelling.shift(1)
        deployment.accepts(make_access_token())
        assert deployment.accepts(deployment.token()), second

    assert len(deployment.signed_by) == 2
