"""Mistral's dialect of Chat Completions. ADR 7 explains why Mistral's own SDK is not used."""

import hashlib
import re

from parley.llm.vendors.openai_chat import Dialect

BASE_URL = "https://api.mistral.ai/v1"
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def mistral_call_id(call_id: str) -> str:
    """Return a tool call id in Mistral's format, nine letters and digits. Ids in the history may come from another vendor."""
    return call_id if _MISTRAL_ID.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


# Mistral reports usage without being asked, and rejects unknown fields.
DIALECT = Dialect(
    asks_usage=False,
    call_id=mistral_call_id,
    required="any",
    has_names=False,
    takes_reasoning=False,
    notes_results=True,
    options={"seed": "random_seed"} | {name: name for name in ("top_p", "frequency_penalty", "presence_penalty")},
)
