"""The embedder: returns the vectors of texts. It is not a web function, and its role allows only writing its log."""

from parley import cold_start  # isort: split

import base64
import time
from typing import Any

from functions.embedder.sentence_model import SentenceModel
from parley.errors import InvalidInput
from parley.observability import logger
from parley.observability.invocations import invocation_handler

# About a second on a whole core, and two on the share of a core that comes with 1,024 MB.
MAX_TEXTS = 64

model = SentenceModel()


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Embed `{"texts": [text, …]}`, at most `MAX_TEXTS`, and return `{"vectors": [base64, …], "input_tokens"}`.

    A vector is 384 little-endian floats of 4 bytes. Raises InvalidInput for any other event.
    """
    texts, started_s = _texts(event), time.perf_counter()
    embedded = [model.embed(text) for text in texts]
    tokens = sum(count for _, count in embedded)
    duration_ms = round((time.perf_counter() - started_s) * 1000, 1)
    logger.info("texts_embedded", texts=len(texts), tokens=tokens, duration_ms=duration_ms)
    return {"vectors": [base64.b64encode(vector).decode() for vector, _ in embedded], "input_tokens": tokens}


def _texts(event: Any) -> list[str]:
    """Return the texts of a request. Errors do not repeat them, because errors are logged."""
    texts = event.get("texts") if isinstance(event, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("must be a list of strings", loc=("texts",))
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise InvalidInput(f"must have 1 to {MAX_TEXTS} items", loc=("texts",))
    return texts


cold_start.finish()
