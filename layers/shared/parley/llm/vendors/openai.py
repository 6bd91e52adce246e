"""OpenAI and every OpenAI-compatible server: chat, embeddings and reranking.

Reranking is `POST /rerank` as in Cohere (v2), Jina, Voyage, vLLM and llama.cpp. `top_n` is omitted, because Voyage uses
another name for it, and without it all of these servers score every text.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import openai

from parley.llm.embedder import EmbeddingPurpose, EmbeddingResult, checked_embeddings
from parley.llm.messages import ModelEvent, ModelRequest
from parley.llm.provider import CancelHandle, ProviderStream
from parley.llm.reranker import RerankResult, checked_ranking
from parley.llm.vendors import openai_chat, openai_responses
from parley.llm.vendors.http_client import call_timeouts, make_client, opened_response
from parley.llm.vendors.openai_chat import Dialect
from parley.llm.vendors.sdk import raw_arguments, translated_errors
from parley.llm.vendors.tool_calls import with_own_names, with_vendor_names

BASE_URL = "https://api.openai.com/v1"
RERANK_PATH = "/rerank"


def rerank_body(model_name: str, query: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the body of a rerank request."""
    return {"model": model_name, "query": query, "documents": list(texts)}


def read_ranking(body: Any, query: str, texts: Sequence[str], *, provider: str) -> RerankResult:
    """Read a rerank response: `results`, or `data` in Voyage's case. Raises ProviderFailed, LookupError and TypeError."""
    rows = body["results"] if "results" in body else body["data"]
    scores = [(row["index"], row["relevance_score"]) for row in rows]
    return checked_ranking(provider, scores, query, texts, tokens=_billed_tokens(body))


def _billed_tokens(body: dict[str, Any]) -> Any:
    """Return the billed tokens, or None: Cohere bills per search and may report no tokens."""
    usage = body.get("usage") or (body.get("meta") or {}).get("tokens") or {}
    return next((usage[name] for name in ("total_tokens", "prompt_tokens", "input_tokens") if usage.get(name) is not None), None)


class _OpenAIClient:
    """The vendor's SDK without its retries, because the router retries."""

    def __init__(self, name: str, *, api_key: str | None, base_url: str | None, timeout_s: float) -> None:
        self._name, self._key = name, api_key
        url = base_url or BASE_URL
        http_client = make_client(url, timeout_s=timeout_s)
        # The SDK requires a key, even for servers without one. Organization and project are reset because the SDK would
        # send OpenAI's values from the environment to every other vendor, too.
        options: dict[str, Any] = {"max_retries": 0, "timeout": call_timeouts(timeout_s), "http_client": http_client}
        self._client = openai.OpenAI(api_key=api_key or "none", base_url=url, **options)
        self._client.organization = self._client.project = None

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()


class OpenAIProvider(_OpenAIClient):
    """The Chat Completions API, or the Responses API if `api` selects it. `dialect` lists a server's deviations."""

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        timeout_s: float = 120.0,
        api: Literal["chat", "responses"] = "chat",
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__(name, api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        self._api, self._dialect = api, dialect or Dialect()

    def stream(self, model_name: str, request: ModelRequest) -> ProviderStream:
        """Return the answer's event stream."""
        handle = CancelHandle()
        return ProviderStream(self._events(handle, model_name, request), handle)

    def _events(self, handle: CancelHandle, model_name: str, request: ModelRequest) -> Iterator[ModelEvent]:
        with (
            translated_errors(openai, self._name, key=self._key),
            opened_response(handle, self._open(model_name, with_vendor_names(request))) as response,
        ):
            if self._api == "responses":
                events = openai_responses.read_events(response, request, provider=self._name, origin=f"{self._name}/{model_name}")
            else:
                events = openai_chat.read_events(response, request, provider=self._name)
            yield from with_own_names(events, request)

    def _open(self, model_name: str, request: ModelRequest) -> Any:
        if self._api == "responses":
            arguments = openai_responses.request_body(f"{self._name}/{model_name}", model_name, request)
            return self._client.responses.with_streaming_response.create(**raw_arguments(arguments, required_list="input"))
        arguments = openai_chat.request_body(model_name, request, self._dialect)
        return self._client.chat.completions.with_streaming_response.create(**raw_arguments(arguments, required_list="messages"))


class OpenAIEmbedder(_OpenAIClient):
    """The embeddings API. Set `asks_dimensions` for models that accept the length of the vectors as a parameter."""

    # OpenAI accepts 2,048 texts and 300,000 tokens per request, small servers far less.
    batch_texts, batch_tokens = 128, 100_000

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None,
        dimensions: int,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        asks_dimensions: bool = False,
    ) -> None:
        super().__init__(name, api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        self.dimensions = dimensions
        self._options: dict[str, Any] = {"dimensions": dimensions} if asks_dimensions else {}

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:  # noqa: ARG002 - same for both purposes
        """Embed one batch."""
        with translated_errors(openai, self._name, key=self._key):
            arguments = {"model": model_name, "input": list(texts), "encoding_format": "float"} | self._options
            body = self._client.embeddings.with_raw_response.create(**arguments).http_response.json()
            rows = sorted(body["data"], key=lambda row: row["index"])
            tokens = (body.get("usage") or {}).get("prompt_tokens")
            return checked_embeddings(
                self._name, [row["embedding"] for row in rows], texts, dimensions=self.dimensions, input_tokens=tokens
            )


class OpenAIReranker(_OpenAIClient):
    """The rerank API of compatible servers. OpenAI itself has none, so the SDK sends a plain request."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:
        """Order the texts in one call."""
        with translated_errors(openai, self._name, key=self._key):
            body = self._client.post(RERANK_PATH, cast_to=object, body=rerank_body(model_name, query, texts))
            return read_ranking(body, query, texts, provider=self._name)
