"""The number of a prompt's tokens, for clients that ask before they send it."""

from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.llm.candidates import candidates_for
from parley.llm.messages import ModelRequest
from parley.llm.tokens import estimate_usage


def count_prompt_tokens(services: ChatServices, principal: Principal, name: str, prompt: ModelRequest) -> int:
    """Estimate a prompt's tokens as those of an answer whose vendor reports none. No model is called.

    Raises ModelNotFound unless `name` is an available model or strategy.
    """
    candidates_for(services.catalogue(), services.environment, name=name, subject=principal.user_id)
    return estimate_usage(prompt, "").input_tokens
