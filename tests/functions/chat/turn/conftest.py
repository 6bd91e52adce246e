from typing import Any

import pytest

from functions.chat.services import ChatServices
from tests.support.turns import HELLO, ScriptedProvider, make_services


@pytest.fixture
def provider() -> ScriptedProvider:
    """A vendor whose model says hello. It records the requests."""
    return ScriptedProvider(HELLO)


@pytest.fixture
def services(engine: Any, provider: ScriptedProvider) -> ChatServices:
    """The services of turns that this vendor's model answers."""
    return make_services(engine, provider)
