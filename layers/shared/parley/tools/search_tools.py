"""In-process tools that search the caller's documents and conversations.

They run in the function that calls them because the tool runner cannot reach the database. They search only data that
the caller may read.
"""

from collections.abc import Mapping
from typing import Any

from parley.auth.principal import Principal
from parley.clock import date_in_words, utc_now
from parley.db import search
from parley.db.chunks import FoundChunk, search_chunks
from parley.db.engine import Engine
from parley.db.search import FoundPassage
from parley.db.transactions import user_scope
from parley.memory.named_time import named_period
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import BillingSubject
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec
from parley.tools.toolbox import InProcessTool

_QUERY_SCHEMA = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "The search query, in plain words"}},
    "required": ["query"],
    "additionalProperties": False,
}

SEARCH_DOCUMENTS = ToolSpec(
    "search_documents",
    "Search the user's documents. Returns the best passages with their headings, pages and document ids.",
    _QUERY_SCHEMA,
    "builtin",
    scopes=("documents",),
)

SEARCH_CONVERSATIONS = ToolSpec(
    "search_conversations",
    "Search the user's past conversations. Returns the best matches with their titles, dates and conversation ids.",
    _QUERY_SCHEMA,
    "builtin",
    scopes=("conversations",),
)

MAX_RESULTS = 5


def make_search_tools(engine: Engine, embedding: MeteredEmbedder, principal: Principal) -> list[InProcessTool]:
    """Return the tools that search the principal's data. The user is set here: no argument of a call can change the user."""
    user_id, billing_subject = principal.user_id, BillingSubject(principal.user_id, principal.api_key_id)

    def search_conversations(arguments: Mapping[str, Any]) -> str:
        query = str(arguments["query"])
        vector = embedding.query(query, billing_subject=billing_subject)
        period = named_period(query, today=utc_now().date())
        with user_scope(engine, user_id) as connection:
            found = search.search_passages(connection, query, user_id=user_id, vector=vector, limit=MAX_RESULTS, period=period)
        return "\n\n".join(map(_passage_text, found)) or "Nothing was found in the user's past conversations."

    def search_documents(arguments: Mapping[str, Any]) -> ToolOutcome:
        query = str(arguments["query"])
        vector = embedding.query(query, billing_subject=billing_subject)
        with user_scope(engine, user_id) as connection:
            found = search_chunks(connection, query, vector, limit=MAX_RESULTS)
        text = "\n\n".join(map(_chunk_text, found)) or "Nothing was found in the user's documents."
        return ToolOutcome(True, text, found=found)

    return [InProcessTool(SEARCH_CONVERSATIONS, search_conversations), InProcessTool(SEARCH_DOCUMENTS, search_documents)]


def _passage_text(passage: FoundPassage) -> str:
    title = passage.title or "untitled"
    return f"{title}, {date_in_words(passage.said_at.date())}, conversation {passage.conversation_id}:\n{passage.text}"


def _chunk_text(chunk: FoundChunk) -> str:
    page = f", page {chunk.page}" if chunk.page else ""
    return f"{chunk.heading}{page}, document {chunk.document_id}:\n{chunk.body}"
