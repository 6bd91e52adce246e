"""Tools that run in the function that calls them: search in what the caller has, and in nothing else."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from parley.auth.principal import Principal
from parley.db import chunk_search, recall
from parley.db.chunk_search import FoundChunk
from parley.db.recall import FoundPassage
from parley.db.scope import user_scope
from parley.embedding import Embedding
from parley.limits import Payer
from parley.tools.inside import SEARCH_CONVERSATIONS, SEARCH_DOCUMENTS
from parley.tools.outcome import Outcome
from parley.tools.own import OwnTool

FOUND = 5


def own_tools(engine: Engine, embedding: Embedding, principal: Principal) -> list[OwnTool]:
    """Return the tools that look into what the principal may read; whose it is no argument can say."""
    user_id, payer = principal.user_id, Payer(principal.user_id, principal.api_key_id)

    def search_conversations(arguments: Mapping[str, Any]) -> str:
        query = str(arguments["query"])
        vector = embedding.query(query, payer=payer)
        with user_scope(engine, user_id) as connection:
            found = recall.search_passages(connection, query, user_id=user_id, vector=vector, most=FOUND)
        return "\n\n".join(map(_said, found)) or "Nothing was found in the user's past conversations."

    def search_documents(arguments: Mapping[str, Any]) -> Outcome:
        query = str(arguments["query"])
        vector = embedding.query(query, payer=payer)
        with user_scope(engine, user_id) as connection:
            found = chunk_search.search(connection, query, vector, limit=FOUND)
        text = "\n\n".join(map(_written, found)) or "Nothing was found in the user's documents."
        return Outcome(True, text, 0.0, found)

    return [OwnTool(SEARCH_CONVERSATIONS, search_conversations), OwnTool(SEARCH_DOCUMENTS, search_documents)]


def _said(passage: FoundPassage) -> str:
    title = passage.title or "untitled"
    return f"{title}, {passage.said_at:%Y-%m-%d}, conversation {passage.conversation_id}:\n{passage.text}"


def _written(chunk: FoundChunk) -> str:
    place = f", page {chunk.page}" if chunk.page else ""
    return f"{chunk.heading}{place}, document {chunk.document_id}:\n{chunk.body}"
