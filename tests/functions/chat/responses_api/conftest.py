"""OpenAI's SDK on the Responses API of the chat function, whose models a fake vendor answers."""

from tests.functions.chat.openai_api.conftest import sdk, sdk_of, vendor

__all__ = ["sdk", "sdk_of", "vendor"]
