import os
from types import SimpleNamespace

import pytest

from functions.authorizer.jwks import KeySource
from tests.fakes.jwks import serving_jwks
from tests.functions.authorizer.events import ME_ROUTE, authorizer_request
from tests.support.tokens import ISSUER, KEY_RING


@pytest.fixture
def clock():
    """Seconds that a test moves on."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture(scope="module")
def jwks():
    """A server of this run's public keys."""
    with serving_jwks(KEY_RING.jwks) as served:
        yield served


@pytest.fixture(scope="session")
def authorizer():
    """The authorizer's module; it needs no database, and so neither do most of its tests."""
    os.environ |= {"PARLEY_JWKS_URL": "http://127.0.0.1:9/keys", "PARLEY_ISSUER": ISSUER, "POWERTOOLS_SERVICE_NAME": "test"}
    from functions.authorizer import app

    return app


@pytest.fixture
def handler(authorizer, monkeypatch, jwks, clock):
    """The authorizer, cold: it has fetched nothing yet."""
    jwks.document, jwks.fetched = KEY_RING.jwks, 0
    monkeypatch.setattr(authorizer, "keys", KeySource(jwks.url, clock=lambda: clock.now))
    return authorizer.handler


@pytest.fixture
def ask(handler):
    """Ask about a request with these headers, by the event that the gateway makes of it."""

    def ask(authorization=None, *, route=ME_ROUTE, **headers):
        named = {"Authorization": authorization} | {name.replace("_", "-"): value for name, value in headers.items()}
        return handler(authorizer_request(route, {name: value for name, value in named.items() if value is not None}), None)

    return ask
