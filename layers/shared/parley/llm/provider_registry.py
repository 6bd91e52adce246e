"""Creates and caches the provider, embedder or reranker of each model of the catalogue.

A vendor's module, and with it the SDK, is imported when the first of its models is called. Only this module imports vendors, so it is
the one place through which every call of a model goes: a model with guards is called through them (ADR 59).
"""

import importlib
from collections.abc import Callable, Iterable, Mapping

from parley.late_imports import uncollected
from parley.llm.embedder import Embedder
from parley.llm.errors import ProviderMisconfigured
from parley.llm.model import EMBEDDER_VARIABLE, Model
from parley.llm.provider import Provider
from parley.llm.reranker import Reranker
from parley.llm.vendor_keys import VendorKeys
from parley.llm.vendors.offline import OfflineProvider
from parley.llm.vendors.offline_search import OfflineEmbedder, OfflineReranker

# More clients than a catalogue's models need at once. Each client has its own connections.
MAX_CACHED = 32

type ProviderFor = Callable[[Model], Provider]
type EmbedderFor = Callable[[Model], Embedder]
type RerankerFor = Callable[[Model], Reranker]
type CacheKey = tuple[Model, str | None]


class ProviderRegistry:
    """Creates clients on demand and caches them, so that their connections serve more than one turn.

    A changed model or a rotated key gets a new client. Beyond `MAX_CACHED`, the least recently used client is closed.
    """

    def __init__(self, environment: Mapping[str, str], *, keys: VendorKeys | None = None) -> None:
        self._environment, self._keys = environment, keys or VendorKeys(environment)
        self._providers: dict[CacheKey, Provider] = {}
        self._embedders: dict[CacheKey, Embedder] = {}
        self._rerankers: dict[CacheKey, Reranker] = {}

    def __call__(self, model: Model) -> Provider:
        """Return the provider for an available model. Raises ProviderMisconfigured and Unavailable as `VendorKeys.find` does."""
        key = self._keys.find(model.api_key)
        return _cached(self._providers, (model, key), self._make)

    def preload(self, models: Iterable[Model]) -> None:
        """Import the vendors' modules of these models, without creating a client or reading a key."""
        for vendor in {model.provider for model in models}:
            match vendor:
                case "offline":
                    pass
                case "anthropic" | "bedrock":
                    importlib.import_module(f"parley.llm.vendors.{vendor}")
                case _:
                    importlib.import_module("parley.llm.vendors.openai")

    def embedder(self, model: Model) -> Embedder:
        """Return the embedder for a model of the kind `embedding`."""
        key = self._keys.find(model.api_key)
        return _cached(self._embedders, (model, key), self._make_embedder)

    def reranker(self, model: Model) -> Reranker:
        """Return the reranker for a model of the kind `rerank`."""
        key = self._keys.find(model.api_key)
        return _cached(self._rerankers, (model, key), self._make_reranker)

    def close(self) -> None:
        """Close all connections and empty the cache, for example before a snapshot is taken."""
        for client in [*self._providers.values(), *self._embedders.values(), *self._rerankers.values()]:
            _close_client(client)
        self._providers.clear()
        self._embedders.clear()
        self._rerankers.clear()

    def _make(self, model: Model, key: str | None) -> Provider:
        provider = self._make_provider(model, key)
        if model.guard is None:
            return provider
        from parley.llm.guards.clients import GuardedProvider

        return GuardedProvider(provider, model.provider, model.guard)

    def _make_provider(self, model: Model, key: str | None) -> Provider:
        match model.provider:
            case "offline":
                return OfflineProvider(pause_s=model.pause_ms / 1000)
            case "anthropic":
                from parley.llm.vendors.anthropic import AnthropicProvider

                return AnthropicProvider(model.provider, api_key=key, base_url=model.base_url, timeout_s=model.timeout_s)
            case "bedrock" if not key:
                return self._make_converse(model)
            case _:
                return self._make_openai(model, key)

    def _make_converse(self, model: Model) -> Provider:
        from parley.llm.vendors.bedrock import BedrockProvider

        caches = "cache" in model.abilities
        region = self._region(model)
        return BedrockProvider(model.provider, region=region, endpoint_url=model.base_url, timeout_s=model.timeout_s, caches=caches)

    def _make_openai(self, model: Model, key: str | None) -> Provider:
        from parley.llm.vendors import mistral
        from parley.llm.vendors.openai import OpenAIProvider
        from parley.llm.vendors.openai_chat import OPENAI_DIALECT, Dialect

        default_dialect = OPENAI_DIALECT if model.provider == "openai" else Dialect()
        return OpenAIProvider(
            model.provider,
            api_key=key,
            base_url=self._base_url(model),
            timeout_s=model.timeout_s,
            api="responses" if model.api == "responses" else "chat",
            dialect=mistral.DIALECT if model.provider == "mistral" else default_dialect,
        )

    def _make_embedder(self, model: Model, key: str | None) -> Embedder:
        embedder = self._make_vendor_embedder(model, key)
        # The texts of these two stay on this machine or in this account.
        if model.guard is None or model.provider in {"builtin", "offline"}:
            return embedder
        from parley.llm.guards.clients import GuardedEmbedder

        return GuardedEmbedder(embedder, model.guard)

    def _make_vendor_embedder(self, model: Model, key: str | None) -> Embedder:
        dimensions = model.dimensions or 0
        match model.provider:
            case "offline":
                return OfflineEmbedder(dimensions=dimensions)
            case "builtin":
                from parley.llm.vendors.builtin import BuiltinEmbedder

                function_name = self._environment.get(EMBEDDER_VARIABLE, "")
                return BuiltinEmbedder(model.provider, function_name=function_name, dimensions=dimensions, timeout_s=model.timeout_s)
            case "bedrock":
                from parley.llm.vendors.bedrock import BedrockEmbedder

                region = self._region(model)
                return BedrockEmbedder(
                    model.provider, dimensions=dimensions, region=region, endpoint_url=model.base_url, timeout_s=model.timeout_s
                )
            case other:
                from parley.llm.vendors.openai import OpenAIEmbedder

                url, asks = self._base_url(model), other == "openai"
                return OpenAIEmbedder(
                    other, api_key=key, dimensions=dimensions, base_url=url, timeout_s=model.timeout_s, asks_dimensions=asks
                )

    def _make_reranker(self, model: Model, key: str | None) -> Reranker:
        if model.provider == "offline":
            return OfflineReranker()
        from parley.llm.vendors.openai import OpenAIReranker

        reranker = OpenAIReranker(model.provider, api_key=key, base_url=model.base_url, timeout_s=model.timeout_s)
        if model.guard is None:
            return reranker
        from parley.llm.guards.clients import GuardedReranker

        return GuardedReranker(reranker, model.guard)

    def _base_url(self, model: Model) -> str | None:
        from parley.llm.vendors import bedrock_converse, mistral

        match model.provider:
            case "mistral" if not model.base_url:
                return mistral.BASE_URL
            case "bedrock" if not model.base_url:
                return bedrock_converse.OPENAI_URL.format(region=self._region(model))
        return model.base_url

    def _region(self, model: Model) -> str:
        region = model.region or self._environment.get("AWS_REGION") or self._environment.get("AWS_DEFAULT_REGION")
        if not region:
            raise ProviderMisconfigured(model.provider, "no region in the catalogue or in AWS_REGION")
        return region


def _cached[T](cache: dict[CacheKey, T], key: CacheKey, make: Callable[[Model, str | None], T]) -> T:
    """Return the cached client or create it. The dictionary is ordered from the least to the most recently used client."""
    client = cache.pop(key, None)
    if client is None:
        with uncollected():
            client = make(*key)
    cache[key] = client
    if len(cache) > MAX_CACHED:
        _close_client(cache.pop(next(iter(cache))))
    return client


def _close_client(client: object) -> None:
    if close := getattr(client, "close", None):
        close()
