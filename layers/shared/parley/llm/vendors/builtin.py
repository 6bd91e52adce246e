"""Embeddings by the stack's own function `embedder`, which runs all-MiniLM-L6-v2. They need no key and no vendor."""

import base64
import binascii
import struct
import threading
from collections.abc import Sequence
from typing import Any

from parley.aws.functions import InvocationFailed, function_client, invoke_function
from parley.llm.embedder import EmbeddingPurpose, EmbeddingResult, checked_embeddings
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderTimeout

# The function reads no further, so nothing beyond this is sent.
MAX_CHARACTERS = 16_000
_CONNECTIONS = 16
_BUSY = {"TooManyRequestsException", "ThrottlingException", "ServiceException", "EC2ThrottledException"}
_TIMEOUTS = {"Sandbox.Timedout", "ReadTimeoutError", "ConnectTimeoutError"}
_MISCONFIGURED = {"AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"}


class BuiltinEmbedder:
    """Invokes the function with this name. Thread-safe.

    The model reads 256 tokens of a text and ignores the rest. A batch takes the function about half a second. It is small so that a
    busy machine keeps the time limit, and that a user's question need not wait long for the worker of a document.
    """

    batch_texts, batch_tokens = 16, 8_000

    def __init__(self, name: str, *, function_name: str, dimensions: int, timeout_s: float) -> None:
        self._name, self._function_name, self.dimensions, self._timeout_s = name, function_name, dimensions, timeout_s
        self._lock = threading.Lock()
        self._lambda: Any = None

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:  # noqa: ARG002 - one model, same for both purposes
        """Embed one batch. Raises ProviderFailed or a subclass."""
        try:
            body = invoke_function(self._client(), self._function_name, {"texts": [text[:MAX_CHARACTERS] for text in texts]})
            vectors = [_numbers(vector) for vector in body["vectors"]]
            tokens = int(body["input_tokens"])
        except InvocationFailed as exc:
            raise _provider_error(self._name, exc) from exc
        except (LookupError, TypeError, ValueError, binascii.Error, struct.error) as exc:
            raise ProviderFailed(self._name, f"unusable response ({type(exc).__name__})") from exc
        return checked_embeddings(self._name, vectors, texts, dimensions=self.dimensions, input_tokens=tokens)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._lambda is not None:
                self._lambda.close()
                self._lambda = None

    def _client(self) -> Any:
        with self._lock:
            if self._lambda is None:
                self._lambda = function_client(read_timeout_s=self._timeout_s, max_connections=_CONNECTIONS)
            return self._lambda


def _numbers(vector: str) -> list[float]:
    content = base64.b64decode(vector, validate=True)
    return list(struct.unpack(f"<{len(content) // 4}f", content))


def _provider_error(name: str, exc: InvocationFailed) -> ProviderFailed:
    if exc.kind in _BUSY:
        return ProviderBusy(name, retry_after_s=None)
    if exc.kind in _TIMEOUTS:
        return ProviderTimeout(name, "no response in time")
    if exc.kind in _MISCONFIGURED:
        return ProviderMisconfigured(name, f"{exc.kind}: {exc.detail}")
    return ProviderFailed(name, f"{exc.kind}: {exc.detail}")
