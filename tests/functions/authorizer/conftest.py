import os
from types import SimpleNamespace

import pytest

from functions.authorizer.jwks import KeySource
from tests.fakes.jwks import serving_jwks
from tests.functions.authorizer.events import ME_ROUTE, authorizer_request
from tests.support.tokens import ISSUER, KEY_RING


@pytest.fixture
def clock():
    """A clock in seconds that only the test moves."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture(scope="module")
def jwks():
    """A server that publishes this test run's public keys."""
    with serving_jwks(KEY_RING.jwks) as served:
        yield served


@pytest.fixture(scope="session")
def authorizer():
    """The authorizer's module. Like the authorizer, most of its tests need no database."""
    os.environ |= {"PARLEY_JWKS_URL": "http://127.0.0.1:9/keys", "PARLEY_ISSUER": ISSUER, "POWERTOOLS_SERVICE_NAME": "test"}
    from functions.authorizer import app

    return app


@pytest.fixture
def handler(authorizer, monkeypatch, jwks, clock):
    """The authorizer after a cold start: it has not fetched any keys."""
    jwks.document, jwks.fetched = KEY_RING.jwks, 0
    monkeypatch.setattr(authorizer, "keys", KeySource(jwks.url, clock=lambda: clock.now))
    return authorizer.handler


@pytest.fixture
def ask(handler):
    """Return a function that invokes the authorizer with the gateway's event for these headers."""

    def ask(authorization=None, *, route=ME_ROUTE, **headers):
        named = {"Authorization": authorization} | {name.replace("_", "-"): value for name, value in headers.items()}
        return handler(authorizer_request(route, {name: value for name, value in named.items() if value is not None}), None)

    return ask
