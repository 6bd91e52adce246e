"""In-process tools that search the caller's documents and conversations.

They run in the function that calls them because the tool runner cannot reach the database. They search what the caller
may read, and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from parley.auth.principal import Principal
from parley.db import search
from parley.db.search import FoundChunk, FoundPassage
from parley.db.transactions import user_scope
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import BillingSubject
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec
from parley.tools.toolbox import InProcessTool

_QUERY_SCHEMA = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "What to look for, in plain words"}},
    "required": ["query"],
    "additionalProperties": False,
}

SEARCH_DOCUMENTS = ToolSpec(
    "search_documents",
    "Search the user's documents for passages about something. Answers with the best passages and where they stand.",
    _QUERY_SCHEMA,
    "builtin",
    scopes=("documents",),
)

SEARCH_CONVERSATIONS = ToolSpec(
    "search_conversations",
    "Search the user's own past conversations. Answers with the best matches, their conversations and dates.",
    _QUERY_SCHEMA,
    "builtin",
    scopes=("conversations",),
)

MAX_RESULTS = 5


def make_search_tools(engine: Engine, embedding: MeteredEmbedder, principal: Principal) -> list[InProcessTool]:
    """Return the tools that look into what the principal may read; whose it is no argument can say."""
    user_id, billing_subject = principal.user_id, BillingSubject(principal.user_id, principal.api_key_id)

    def search_conversations(arguments: Mapping[str, Any]) -> str:
        query = str(arguments["query"])
        vector = embedding.query(query, billing_subject=billing_subject)
        with user_scope(engine, user_id) as connection:
            found = search.search_passages(connection, query, user_id=user_id, vector=vector, limit=MAX_RESULTS)
        return "\n\n".join(map(_passage_text, found)) or "Nothing was found in the user's past conversations."

    def search_documents(arguments: Mapping[str, Any]) -> ToolOutcome:
        query = str(arguments["query"])
        vector = embedding.query(query, billing_subject=billing_subject)
        with user_scope(engine, user_id) as connection:
            found = search.search_chunks(connection, query, vector, limit=MAX_RESULTS)
        text = "\n\n".join(map(_chunk_text, found)) or "Nothing was found in the user's documents."
        return ToolOutcome(True, text, 0.0, found)

    return [InProcessTool(SEARCH_CONVERSATIONS, search_conversations), InProcessTool(SEARCH_DOCUMENTS, search_documents)]


def _passage_text(passage: FoundPassage) -> str:
    title = passage.title or "untitled"
    return f"{title}, {passage.said_at:%Y-%m-%d}, conversation {passage.conversation_id}:\n{passage.text}"


def _chunk_text(chunk: FoundChunk) -> str:
    place = f", page {chunk.page}" if chunk.page else ""
    return f"{chunk.heading}{place}, document {chunk.document_id}:\n{chunk.body}"
