"""The request of a stateless completion with an assistant: its instructions, its model, and what its documents say about the question.

The client runs its own tools and sends its own history, so the assistant's tools and memory do not apply.
"""

from dataclasses import replace
from uuid import UUID

from functions.chat.services import ChatServices
from functions.chat.turn import retrieval
from functions.chat.turn.assistant import assistant_documents, load_assistant
from functions.chat.turn.prompt import MAX_SOURCE_TOKENS, request_tokens
from parley.auth.principal import Principal
from parley.db.assistants.assistants import Assistant
from parley.db.chunks import FoundChunk, search_chunks
from parley.db.transactions import principal_scope, user_scope
from parley.llm.candidates import Candidate, candidates_for
from parley.llm.catalogue import ModelNotFound
from parley.llm.messages import ModelRequest, Source, Text
from parley.metering.embeddings import QUERY_CHARACTERS
from parley.metering.limits import BillingSubject
from parley.observability import logger


def make_assistant_request(
    services: ChatServices, principal: Principal, assistant_id: UUID, request: ModelRequest
) -> tuple[str | None, ModelRequest]:
    """Return the assistant's model, None for the default model, and the request with its instructions and sources.

    Raises AssistantNotFound, NoModel, Unauthorized and Unavailable.
    """
    with principal_scope(services.engine, principal) as connection:
        assistant = load_assistant(connection, assistant_id)
    name, candidate = _model_of(services, principal, assistant)
    system = "\n\n".join(filter(None, (assistant.instructions, request.system)))
    request = replace(request, system=system or None)
    return name, replace(request, sources=_sources(services, principal, assistant, candidate, request))


def _model_of(services: ChatServices, principal: Principal, assistant: Assistant) -> tuple[str | None, Candidate]:
    """Return the name and the first candidate of the assistant's model, or of the default if it is no longer available."""
    catalogue = services.catalogue()
    try:
        return assistant.model, candidates_for(catalogue, services.environment, name=assistant.model, subject=principal.user_id)[0]
    except ModelNotFound as exc:
        logger.info("preferred_model_skipped", reason=str(exc))
        return None, candidates_for(catalogue, services.environment, subject=principal.user_id)[0]


def _sources(
    services: ChatServices, principal: Principal, assistant: Assistant, candidate: Candidate, request: ModelRequest
) -> list[Source]:
    """Return the chunks of the assistant's documents that match the newest question, as far as the caller can read them."""
    documents, question = assistant_documents(assistant, principal), _newest_question(request)
    if not documents or not question:
        return []
    billing_subject = BillingSubject(principal.user_id, principal.api_key_id)
    vector = services.embedding.query(question, billing_subject=billing_subject)
    only_in = None if isinstance(documents, bool) else documents
    with user_scope(services.engine, principal.user_id) as connection:
        found = search_chunks(connection, question, vector, limit=retrieval.MAX_SEARCHED, only_in=only_in)
    close = retrieval.relevant_chunks(found, is_named=False)
    ranked: list[FoundChunk] = services.reranking.reranked(question, close, billing_subject=billing_subject) or close
    room = max(candidate.model.context_tokens - request_tokens(request, candidate.model), 0)
    return [source for source, _ in retrieval.number_sources(ranked, budget_tokens=min(MAX_SOURCE_TOKENS, room // 3))]


def _newest_question(request: ModelRequest) -> str:
    """Return the text of the newest message of the user, shortened to the length of a query."""
    for message in reversed(request.messages):
        if message.role == "user":
            return "\n".join(part.text for part in message.parts if isinstance(part, Text))[:QUERY_CHARACTERS]
    return ""
