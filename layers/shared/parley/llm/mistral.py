"""Mistral speaks Chat Completions with an accent; why not its own SDK stands in docs/adr/0007."""

import hashlib
import re

from parley.llm.openai_chat import Dialect

BASE_URL = "https://api.mistral.ai/v1"
_ITS_OWN = re.compile(r"[a-zA-Z0-9]{9}")


def call_id(call_id: str) -> str:
    """Return the id of a tool call as Mistral takes it, nine letters and digits: a conversation may come from elsewhere."""
    return call_id if _ITS_OWN.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


# It counts tokens unasked, and refuses fields that it does not know.
DIALECT = Dialect(asks_usage=False, call_id=call_id, required="any")
