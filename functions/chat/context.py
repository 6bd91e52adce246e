"""What a model is given: the system prompt, then as much of the conversation as fits, then the question."""

from collections.abc import Sequence

from functions.chat.question import Question
from parley.db.conversations import Conversation
from parley.db.messages import Message
from parley.errors import InvalidInput
from parley.llm import types as llm
from parley.llm.models import Model
from parley.llm.tokens import estimate_tokens
from parley.memory.window import newest_within

DEFAULT_SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question."


def assemble(conversation: Conversation | None, earlier: Sequence[Message], question: Question, model: Model) -> llm.Request:
    """Build the request. Raises InvalidInput if the question alone does not fit the model."""
    system = (conversation and conversation.system_prompt) or DEFAULT_SYSTEM_PROMPT
    answer_tokens = min(question.max_output_tokens or model.max_output_tokens, model.max_output_tokens)
    room = model.context_tokens - answer_tokens - estimate_tokens(system) - estimate_tokens(question.text)
    if room < 0:
        raise InvalidInput("the message is too long for this model", loc=("body", "message"))
    window = newest_within(earlier, budget_tokens=room)
    spoken = [llm.Message(message.role, message.text) for message in window if message.text]
    return llm.Request(
        [*spoken, llm.Message("user", question.text)], system=system, max_output_tokens=answer_tokens, temperature=question.temperature
    )
