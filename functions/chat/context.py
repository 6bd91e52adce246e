"""What a model is given: the system prompt, then as much of the conversation as fits, then the question."""

from collections.abc import Sequence

from functions.chat.question import Question
from parley.db.conversations import Conversation
from parley.db.messages import Spoken
from parley.llm import types as llm
from parley.llm.failures import ContextTooLong
from parley.llm.model import Model
from parley.llm.router import Candidate
from parley.llm.tokens import estimate_tokens
from parley.memory.window import newest_within

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question."


def assemble(conversation: Conversation | None, earlier: Sequence[Spoken], question: Question, candidate: Candidate) -> llm.Request:
    """Build the request. Raises ContextTooLong if the question alone does not fit the model."""
    system, model = (conversation and conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT, candidate.model
    answer_tokens = min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    room, needed = model.context_tokens - answer_tokens, estimate_tokens(system) + estimate_tokens(question.text)
    if needed > room:
        raise ContextTooLong(candidate.id, tokens=needed, limit=max(room, 0))
    window = newest_within(earlier, budget_tokens=room - needed)
    spoken = [llm.Message(message.role, message.text) for message in window if message.text]
    return llm.Request(
        [*spoken, llm.Message("user", question.text)], system=system, max_output_tokens=answer_tokens, temperature=question.temperature
    )


def takes_tokens(request: llm.Request, model: Model) -> int:
    """Guess what the request takes of a model's context, the answer's room with it."""
    answer_tokens = min(request.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    return answer_tokens + estimate_tokens(request.system or "") + sum(estimate_tokens(message.text) for message in request.messages)
