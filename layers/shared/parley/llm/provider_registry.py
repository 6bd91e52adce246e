"""From a model of the catalogue to the provider, embedder or reranker that reaches it.

A vendor's module, and with it the SDK, is imported when the first of its models is called.
"""

from collections.abc import Callable, Mapping

from parley.llm.embedder import Embedder
from parley.llm.errors import ProviderMisconfigured
from parley.llm.model import Model
from parley.llm.provider import Provider
from parley.llm.reranker import Reranker
from parley.llm.vendor_keys import VendorKeys
from parley.llm.vendors.offline import OfflineProvider
from parley.llm.vendors.offline_search import OfflineEmbedder, OfflineReranker

# More than any catalogue has in use; each has connections of its own.
MAX_CACHED = 32

type ProviderFor = Callable[[Model], Provider]
type EmbedderFor = Callable[[Model], Embedder]
type RerankerFor = Callable[[Model], Reranker]
type CacheKey = tuple[Model, str | None]


class ProviderRegistry:
    """Makes providers on demand and keeps them: a client's connections outlive one turn.

    A model that changes in the catalogue, or a key that was rotated, makes another provider; of more than `MOST_KEPT`, the
    one that was not used for the longest time is closed.
    """

    def __init__(self, environment: Mapping[str, str], *, keys: VendorKeys | None = None) -> None:
        self._environment, self._keys = environment, keys or VendorKeys(environment)
        self._made: dict[CacheKey, Provider] = {}
        self._embedders: dict[CacheKey, Embedder] = {}
        self._rerankers: dict[CacheKey, Reranker] = {}

    def __call__(self, model: Model) -> Provider:
        """Return the provider for `model`, one that the catalogue says can be called. Raises as `Keys.find` does."""
        key = self._keys.find(model.api_key)
        return _cached(self._made, (model, key), self._make)

    def embedder(self, model: Model) -> Embedder:
        """Return the embedder for `model`, one of the kind `embedding`."""
        key = self._keys.find(model.api_key)
        return _cached(self._embedders, (model, key), self._make_embedder)

    def reranker(self, model: Model) -> Reranker:
        """Return the reranker for `model`, one of the kind `rerank`."""
        key = self._keys.find(model.api_key)
        return _cached(self._rerankers, (model, key), self._make_reranker)

    def close(self) -> None:
        """Close all connections and forget all providers: before a snapshot is taken, for one."""
        for made in [*self._made.values(), *self._embedders.values(), *self._rerankers.values()]:
            _close_client(made)
        self._made.clear()
        self._embedders.clear()
        self._rerankers.clear()

    def _make(self, model: Model, key: str | None) -> Provider:
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
        from parley.llm.vendors.openai_chat import Dialect

        ours = Dialect(limit_field="max_completion_tokens") if model.provider == "openai" else Dialect()
        return OpenAIProvider(
            model.provider,
            api_key=key,
            base_url=self._base_url(model),
            timeout_s=model.timeout_s,
            api="responses" if model.api == "responses" else "chat",
            dialect=mistral.DIALECT if model.provider == "mistral" else ours,
        )

    def _make_embedder(self, model: Model, key: str | None) -> Embedder:
        dimensions = model.dimensions or 0
        match model.provider:
            case "offline":
                return OfflineEmbedder(dimensions=dimensions)
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

        return OpenAIReranker(model.provider, api_key=key, base_url=model.base_url, timeout_s=model.timeout_s)

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
            raise ProviderMisconfigured(model.provider, "no region: neither in the catalogue nor in AWS_REGION")
        return region


def _cached[T](made: dict[CacheKey, T], reached: CacheKey, make: Callable[[Model, str | None], T]) -> T:
    """Return what was made before, or make it; the most recently used stands last."""
    found = made.pop(reached, None) or make(*reached)
    made[reached] = found
    if len(made) > MAX_CACHED:
        _close_client(made.pop(next(iter(made))))
    return found


def _close_client(made: object) -> None:
    if close := getattr(made, "close", None):
        close()
