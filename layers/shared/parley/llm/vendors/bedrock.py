"""Amazon Bedrock through boto3, with the function's role: Converse for chat, InvokeModel for embeddings.

With a Bedrock API key, the OpenAI-compatible endpoint is used instead (`provider_registry.py`), without boto3.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, EventStreamError, HTTPClientError, ReadTimeoutError
from botocore.exceptions import ConnectTimeoutError as BotoConnectTimeout
from urllib3.exceptions import HTTPError, TimeoutError

from parley.aws.client import close_idle_connections
from parley.llm.embedder import EmbeddingPurpose, EmbeddingResult, checked_embeddings
from parley.llm.errors import ProviderFailed, ProviderTimeout, UnusableAnswer
from parley.llm.messages import ModelEvent, ModelRequest
from parley.llm.provider import CONNECT_TIMEOUT_S, CancelHandle, ProviderStream
from parley.llm.vendors import bedrock_converse
from parley.llm.vendors.errors import VendorError, error_for_status
from parley.llm.vendors.tool_calls import with_own_names, with_vendor_names

_BUSY_CODES = {"ThrottlingException", "ModelNotReadyException", "ServiceQuotaExceededException"}
_TIMEOUT_CODES = {"ModelTimeoutException"}
_MISCONFIGURED_CODES = {"AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException", "ExpiredTokenException"}


class _BedrockClient:
    def __init__(self, name: str, *, region: str | None, endpoint_url: str | None, timeout_s: float) -> None:
        self._name = name
        config = Config(
            connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s), read_timeout=timeout_s, retries={"mode": "standard", "total_max_attempts": 1}
        )
        self._client = boto3.client("bedrock-runtime", region_name=region, endpoint_url=endpoint_url, config=config)
        close_idle_connections(self._client)

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()


class BedrockProvider(_BedrockClient):
    """The ConverseStream API. With `caches`, the stable prefix is marked for caching; models without a prompt cache reject the mark."""

    def __init__(
        self,
        name: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout_s: float = 120.0,
        caches: bool = False,
    ) -> None:
        super().__init__(name, region=region, endpoint_url=endpoint_url, timeout_s=timeout_s)
        self._caches = caches

    def stream(self, model_name: str, request: ModelRequest) -> ProviderStream:
        """Return the answer's event stream. Its `close` cannot end the wait for the first byte of the response."""
        handle = CancelHandle()
        return ProviderStream(self._events(handle, model_name, request), handle)

    def _events(self, handle: CancelHandle, model_name: str, request: ModelRequest) -> Iterator[ModelEvent]:
        origin = f"{self._name}/{model_name}"
        with _translated_errors(self._name):
            arguments = bedrock_converse.converse_arguments(origin, model_name, with_vendor_names(request), caches=self._caches)
            stream = self._client.converse_stream(**arguments)["stream"]
            handle.is_answered = True
            handle.attach(lambda: _shut_down(stream))
            try:
                events = bedrock_converse.read_events(stream, request, provider=self._name, origin=origin)
                yield from with_own_names(events, request)
            finally:
                handle.detach()
                stream.close()


def _shut_down(stream: Any) -> None:
    # botocore's own `close` would wait for the reading thread.
    with suppress(OSError, ValueError, RuntimeError):
        stream._raw_stream.shutdown()


class BedrockEmbedder(_BedrockClient):
    """Embeddings by Titan, one text per call, or by Cohere, up to 96 texts per call. The model's name selects the format."""

    def __init__(
        self, name: str, *, dimensions: int, region: str | None = None, endpoint_url: str | None = None, timeout_s: float = 60.0
    ) -> None:
        super().__init__(name, region=region, endpoint_url=endpoint_url, timeout_s=timeout_s)
        self.dimensions = dimensions
        self.batch_texts, self.batch_tokens = 96, 100_000

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:
        """Embed one batch."""
        if "cohere" in model_name:
            return self._cohere(model_name, texts, purpose)
        results = [self._titan(model_name, text) for text in texts]
        vectors, tokens = [vector for vector, _ in results], sum(tokens for _, tokens in results)
        return checked_embeddings(self._name, vectors, texts, dimensions=self.dimensions, input_tokens=tokens)

    def _titan(self, model_name: str, text: str) -> tuple[list[float], int]:
        with _translated_errors(self._name):
            body, _ = self._invoke(model_name, {"inputText": text, "dimensions": self.dimensions, "normalize": True})
            return body["embedding"], body["inputTextTokenCount"]

    def _cohere(self, model_name: str, texts: Sequence[str], purpose: EmbeddingPurpose) -> EmbeddingResult:
        request_body: dict[str, Any] = {"texts": list(texts), "input_type": f"search_{purpose}", "embedding_types": ["float"]}
        if "v4" in model_name:
            request_body["output_dimension"] = self.dimensions
        with _translated_errors(self._name):
            body, tokens = self._invoke(model_name, request_body)
            return checked_embeddings(self._name, body["embeddings"]["float"], texts, dimensions=self.dimensions, input_tokens=tokens)

    def _invoke(self, model_name: str, request_body: dict[str, Any]) -> tuple[Any, int | None]:
        response = self._client.invoke_model(modelId=model_name, body=json.dumps(request_body), contentType="application/json")
        tokens = response["ResponseMetadata"]["HTTPHeaders"].get("x-amzn-bedrock-input-token-count")
        return json.loads(response["body"].read()), int(tokens) if tokens else None


@contextmanager
def _translated_errors(provider: str) -> Iterator[None]:
    """Translate the errors of botocore and of its HTTP client into ours."""
    try:
        yield
    except (ReadTimeoutError, BotoConnectTimeout, TimeoutError) as exc:
        raise ProviderTimeout(provider, "no response in time", is_outage=isinstance(exc, BotoConnectTimeout)) from exc
    except EventStreamError as exc:
        raise _provider_error(provider, exc, status=500) from None
    except ClientError as exc:
        raise _provider_error(provider, exc, status=exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) from None
    except ProviderFailed:
        raise
    except (ParserError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise UnusableAnswer(provider, type(exc).__name__) from exc
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as exc:
        raise ProviderFailed(provider, type(exc).__name__, is_outage=isinstance(exc, EndpointConnectionError)) from exc


def _provider_error(provider: str, error: ClientError, *, status: int) -> ProviderFailed:
    details = error.response.get("Error", {})
    # The error codes of a stream begin with a lower-case letter.
    name = str(details.get("Code", ""))
    name = name[:1].upper() + name[1:]
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if name in _BUSY_CODES:
        status = 429
    elif name == "ServiceUnavailableException":
        status = 503
    elif name in _TIMEOUT_CODES:
        return ProviderTimeout(provider, name)
    elif name in _MISCONFIGURED_CODES:
        status = 403
    elif name == "ValidationException":
        status = 400
    return error_for_status(
        provider, status, VendorError(type=name, message=details.get("Message")), retry_after=headers.get("retry-after")
    )
