"""Which client a model of the catalogue gets."""

from types import SimpleNamespace

import pytest

from parley.llm import provider_registry
from parley.llm.errors import ProviderMisconfigured
from parley.llm.messages import Message, ModelRequest
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.vendors import offline
from tests.fakes.vendor import replies

KEY = {"A_KEY": "k"}


def test_the_modules_of_the_given_models_vendors_are_loaded_in_advance(monkeypatch):
    loaded = []
    monkeypatch.setattr(provider_registry, "importlib", SimpleNamespace(import_module=loaded.append))
    providers = ProviderRegistry({})
    providers.preload([Model(provider=name, name="m") for name in ("offline", "anthropic", "bedrock", "mistral", "openai", "openai")])

    assert {name.rpartition(".")[2] for name in loaded} == {"anthropic", "bedrock", "openai"}
    assert all(name.startswith("parley.llm.vendors.") for name in loaded)


def test_the_offline_model_pauses_for_its_milliseconds_after_each_word(monkeypatch):
    pauses = []
    monkeypatch.setattr(offline, "time", SimpleNamespace(sleep=pauses.append))
    model = Model(provider="offline", name="m", pause_ms=250)
    list(ProviderRegistry({})(model).stream("m", ModelRequest([Message("user", "hi")], max_output_tokens=2)))

    assert pauses == [0.25, 0.25]


@pytest.mark.parametrize(("provider", "asked"), [("openai", 2), ("openai-compatible", None)])
def test_only_openai_is_asked_for_the_length_of_its_vectors(vendor, provider, asked):
    vendor.script = replies({"data": [{"index": 0, "embedding": [1, 0]}], "usage": {"prompt_tokens": 1}})
    providers = vendor.closing(ProviderRegistry({}))
    model = Model(provider=provider, name="m", kind="embedding", dimensions=2, base_url=vendor.url)
    providers.embedder(model).embed_batch("m", ["a"], purpose="query")

    assert vendor.last_body.get("dimensions") == asked


@pytest.mark.parametrize(
    ("region", "environment", "used"),
    [
        ("us-east-2", {}, "us-east-2"),
        ("us-east-2", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "us-east-2"),
        (None, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_bedrock_is_called_in_the_models_region_or_else_in_the_functions(region, environment, used):
    model = Model(provider="bedrock", name="m", region=region, api_key="env:A_KEY")
    providers = ProviderRegistry(KEY | environment)
    url = str(providers(model)._client.base_url)
    providers.close()

    assert url.startswith(f"https://bedrock-runtime.{used}.")


def test_bedrock_without_a_region_is_a_misconfiguration():
    with pytest.raises(ProviderMisconfigured, match="no region"):
        ProviderRegistry(KEY)(Model(provider="bedrock", name="m", api_key="env:A_KEY"))
