"""From a model of the catalogue to the provider that reaches it."""

from collections.abc import Callable, Mapping

from parley.llm.models import Model
from parley.llm.offline import OfflineProvider
from parley.llm.provider import Provider

type ProviderFor = Callable[[Model], Provider]


class Providers:
    """Makes providers on demand and keeps them: a client's connections outlive one turn."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._made: dict[Model, Provider] = {}

    def __call__(self, model: Model) -> Provider:
        """Return the provider for `model`, one that the catalogue says can be called."""
        if model not in self._made:
            self._made[model] = self._make(model)
        return self._made[model]

    def _make(self, model: Model) -> Provider:
        match model.provider:
            case "offline":
                return OfflineProvider(pause_s=model.pause_ms / 1000)
            case "openai" | "openai-compatible":
                return self._make_openai(model)
            case other:
                raise ValueError(f"provider {other!r} is not supported yet")

    def _make_openai(self, model: Model) -> Provider:
        from parley.llm.openai import OpenAIProvider  # 0.3 s that only its users pay

        return OpenAIProvider(
            model.provider,
            api_key=model.key(self._environment),
            base_url=model.base_url,
            timeout_s=model.timeout_s,
            limit_field="max_completion_tokens" if model.provider == "openai" else "max_tokens",
        )
