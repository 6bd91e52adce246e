"""Tools that run in the function that calls them, since the tool runner reaches no database."""

from parley.tools.spec import ToolSpec

_QUERY = {
    "type": "object",
    "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "What to look for, in plain words"}},
    "required": ["query"],
    "additionalProperties": False,
}

SEARCH_DOCUMENTS = ToolSpec(
    "search_documents",
    "Search the user's documents for passages about something. Answers with the best passages and where they stand.",
    _QUERY,
    "builtin",
    scopes=("documents",),
)
SEARCH_CONVERSATIONS = ToolSpec(
    "search_conversations",
    "Search the user's own past conversations. Answers with the best matches, their conversations and dates.",
    _QUERY,
    "builtin",
    scopes=("conversations",),
)
