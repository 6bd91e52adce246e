import os
import secrets

import pytest

from tests.support.api_gateway import Function


@pytest.fixture
def path(aws):
    """The path of a key store for one test."""
    return f"/parley/{secrets.token_hex(4)}/keys"


@pytest.fixture
def invoke(path, monkeypatch):
    """Return a function that invokes the keys function on the test's key store."""
    os.environ |= {"PARLEY_KEYS_PATH": "/parley/test/keys", "POWERTOOLS_SERVICE_NAME": "test"}
    from functions.keys import app
    from parley.settings import KeySettings

    monkeypatch.setattr(app, "settings", KeySettings(keys_path=path))
    return lambda event: app.handler(event, Function.CONTEXT)
