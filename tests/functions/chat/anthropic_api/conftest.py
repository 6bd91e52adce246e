"""The official Anthropic SDK, unmodified, connected to the chat function, whose models a fake vendor answers."""

from collections.abc import Callable, Iterator

import anthropic
import httpx2
import pytest

from tests.functions.chat.openai_api.conftest import FunctionTransport, vendor  # noqa: F401 - a fixture
from tests.support.api_gateway import Person


@pytest.fixture
def sdk_of(chat) -> Iterator[Callable[..., anthropic.Anthropic]]:
    """Return a function that connects the SDK for a user, by default without the SDK's retries."""
    clients: list[anthropic.Anthropic] = []

    def connect(person: Person, *, max_retries: int = 0) -> anthropic.Anthropic:
        http_client = httpx2.Client(transport=FunctionTransport(chat, person))
        url = "https://api.example.com"
        clients.append(
            anthropic.Anthropic(base_url=url, api_key="k", max_retries=max_retries, http_client=http_client, open_telemetry=False)
        )
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def sdk(sdk_of, alice, vendor) -> anthropic.Anthropic:  # noqa: F811 - a fixture
    """The SDK of one user."""
    return sdk_of(alice)
