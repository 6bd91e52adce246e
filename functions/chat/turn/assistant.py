"""The assistant of a turn: its settings, as far as the question does not choose otherwise.

The caller's rights decide, never the owner's: documents are searched as far as the caller can read them, and tools are the caller's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from functions.chat.errors import AssistantNotFound
from functions.chat.turn.question import Question
from parley.auth.principal import Principal
from parley.db.assistants import assistants
from parley.db.assistants.assistants import Assistant
from parley.db.engine import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAssistant:
    """The settings of an assistant for a turn. `tools` selects among the user's tools: all, none, or the named tools.

    `has_chosen_documents` means that the turn searches the assistant's documents, because the question names none.
    """

    id: UUID
    version: int
    instructions: str
    model: str | None
    tools: bool | Sequence[str]
    uses_memory: bool
    is_own: bool
    has_chosen_documents: bool

    def offers(self, tool: str) -> bool:
        """Whether the assistant offers a tool of the user to the model."""
        return self.tools if isinstance(self.tools, bool) else tool in self.tools


def load_assistant(connection: Connection, assistant_id: UUID) -> Assistant:
    """Return the newest version of an assistant that the transaction's user may use. Raises AssistantNotFound."""
    if (found := assistants.find(connection, assistant_id)) is None:
        raise AssistantNotFound(assistant_id)
    return found


def apply_assistant(connection: Connection, question: Question, assistant_id: UUID, principal: Principal) -> Question:
    """Return the question with the assistant's settings. Raises AssistantNotFound."""
    assistant = load_assistant(connection, assistant_id)
    documents = assistant_documents(assistant, principal) if question.documents is False else False
    settings = TurnAssistant(
        id=assistant.id,
        version=assistant.version,
        instructions=assistant.instructions,
        model=assistant.model,
        tools=assistant.tools,
        uses_memory=assistant.memory == "all",
        is_own=assistant.user_id == principal.user_id,
        has_chosen_documents=bool(documents),
    )
    return replace(
        question,
        assistant=settings,
        documents=documents or question.documents,
        is_incognito=question.is_incognito or not settings.uses_memory,
    )


def assistant_documents(assistant: Assistant, principal: Principal) -> bool | list[UUID]:
    """Return the documents that the assistant searches for this caller: none without the scope `documents`.

    The list may name documents that the caller cannot read; the search leaves them out.
    """
    if "documents" not in principal.scopes:
        return False
    return assistant.documents if isinstance(assistant.documents, bool) else list(map(UUID, assistant.documents))
