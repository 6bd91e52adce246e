"""Mistral's dialect of Chat Completions; docs/adr/0007 says why its own SDK is not used."""

import hashlib
import re

from parley.llm.vendors.openai_chat import Dialect

BASE_URL = "https://api.mistral.ai/v1"
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


def mistral_call_id(call_id: str) -> str:
    """Return the id of a tool call as Mistral takes it, nine letters and digits: a conversation may come from elsewhere."""
    return call_id if _MISTRAL_ID.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


# It counts tokens unasked, and refuses fields that it does not know.
DIALECT = Dialect(asks_usage=False, call_id=mistral_call_id, required="any")
