"""The official OpenAI SDK, unmodified, connected to the chat function, whose models a fake vendor answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx2
import openai
import pytest

from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.router import ModelRouter, RetryPolicy
from tests.fakes.circuits import MemoryCircuits
from tests.fakes.vendor import Vendor, running_vendor
from tests.support.api_gateway import Function, Person

MODELS = """
[roles]
chat = "compatible"

[models.compatible]
provider = "openai-compatible"
name = "vendor-model"
base_url = "{url}"
abilities = ["tools", "images", "json"]

[models.textual]
provider = "openai-compatible"
name = "vendor-model"
base_url = "{url}"

[models.gpt-5]
provider = "openai-compatible"
name = "vendor-model"
base_url = "{url}"
abilities = ["tools", "images", "json"]

[models.openai]
provider = "openai"
name = "vendor-model"
base_url = "{url}"
abilities = ["tools", "images", "json"]

[models.mistral]
provider = "mistral"
name = "vendor-model"
base_url = "{url}"
abilities = ["tools", "images", "json"]

[models.responses]
provider = "openai"
api = "responses"
name = "vendor-model"
base_url = "{url}"
abilities = ["tools", "images", "json"]

[models.anthropic]
provider = "anthropic"
name = "vendor-model"
base_url = "{root}"
abilities = ["tools", "images", "json"]

[models.claude-sonnet-4]
provider = "anthropic"
name = "vendor-model"
base_url = "{root}"
abilities = ["tools", "images", "json"]
fixed_temperature = true

[models.priced]
provider = "openai-compatible"
name = "vendor-model"
base_url = "{url}"
input_usd_per_mtok = 2.0

[models.lexical]
provider = "offline"
name = "lexical"
kind = "embedding"
dimensions = 16

[strategies.quick]
kind = "fallback"
models = ["compatible", "openai"]
"""


class FunctionTransport(httpx2.BaseTransport):
    """Sends a client's requests to a function as the gateway does for a logged-in user."""

    def __init__(self, function: Function, person: Person) -> None:
        self._function, self._person = function, person

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url.raw_path.decode()
        answer = self._function.call(
            request.method, url, request.read().decode() or None, as_=self._person, headers=dict(request.headers.items())
        )
        return httpx2.Response(answer.status, headers=answer.headers, content=answer.body)


@pytest.fixture
def vendor(chat, tmp_path) -> Iterator[Vendor]:
    """A fake vendor that the chat function's models reach, with closed circuits and without pauses between retries."""
    from functions.chat import app

    state = app.app._app.state
    before = state.services
    with running_vendor() as running:
        models = tmp_path / "models.toml"
        models.write_text(MODELS.format(url=running.url, root=running.root))
        catalogue = Catalogue.load(models)
        router = ModelRouter(before.router.provider_for, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(first_pause_s=0.0))
        state.services = replace(before, catalogue=lambda: catalogue, router=router)
        yield running
        state.services = before
        before.router.provider_for.close()


@pytest.fixture
def sdk_of(chat) -> Iterator[Callable[..., openai.OpenAI]]:
    """Return a function that connects the SDK for a user, by default without the SDK's retries."""
    clients: list[openai.OpenAI] = []

    def connect(person: Person, *, max_retries: int = 0) -> openai.OpenAI:
        http_client = httpx2.Client(transport=FunctionTransport(chat, person))
        clients.append(openai.OpenAI(base_url="https://api.example.com/v1", api_key="k", max_retries=max_retries, http_client=http_client))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def sdk(sdk_of, alice, vendor) -> openai.OpenAI:
    """The SDK of one user."""
    return sdk_of(alice)
