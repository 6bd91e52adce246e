"""Tools that run in the function that calls them: search in what the caller has, and in nothing else."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from parley.auth.principal import Principal
from parley.db import recall
from parley.db.recall import FoundPassage
from parley.db.scope import user_scope
from parley.embedding import Embedding
from parley.limits import Payer
from parley.tools.inside import SEARCH_CONVERSATIONS
from parley.tools.own import OwnTool

FOUND = 5


def own_tools(engine: Engine, embedding: Embedding, principal: Principal) -> list[OwnTool]:
    """Return the tools that look into the principal's own conversations; whose they are no argument can say."""

    def search_conversations(arguments: Mapping[str, Any]) -> str:
        query, user_id = str(arguments["query"]), principal.user_id
        vector = embedding.query(query, payer=Payer(user_id, principal.api_key_id))
        with user_scope(engine, user_id) as connection:
            found = recall.search_passages(connection, query, user_id=user_id, vector=vector, most=FOUND)
        return "\n\n".join(map(_told, found)) or "Nothing was found in the user's past conversations."

    return [OwnTool(SEARCH_CONVERSATIONS, search_conversations)]


def _told(passage: FoundPassage) -> str:
    title = passage.title or "untitled"
    return f"{title}, {passage.said_at:%Y-%m-%d}, conversation {passage.conversation_id}:\n{passage.text}"
