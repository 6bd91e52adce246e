"""The chat function with a fake vendor behind its models."""

from tests.functions.chat.openai_api.conftest import vendor

__all__ = ["vendor"]
