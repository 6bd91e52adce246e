"""MCP prompts: texts that a client offers to its user, such as a slash command, and fills in with the user's arguments.

The built-in prompts come first. A prompt of the user's library with the name of one of them is not offered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from functions.tools.mcp_endpoint.jsonrpc import INVALID_PARAMS, RpcError
from functions.tools.mcp_endpoint.prompt_library import describe_library, fill_from_library, find_in_library
from functions.tools.mcp_endpoint.resources import resource_text
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db.assistants.prompts import Prompt

MAX_ARGUMENT_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class BuiltInPrompt:
    """A prompt with one required argument, for tokens with `scope`. With `resource`, the argument is the id of such a resource."""

    name: str
    title: str
    description: str
    argument: str
    argument_description: str
    text: str
    scope: str
    resource: str = ""


PROMPTS = (
    BuiltInPrompt(
        "ask_documents",
        "Ask my documents",
        "Answer a question from the user's documents, with sources.",
        "question",
        "The question",
        "Answer the question from my documents in Parley. Search them with the tool search_documents, more than once if the first result "
        "is not enough. Name the document behind each statement, and say so if the documents do not answer it.\n\nQuestion: {argument}",
        scope="documents",
    ),
    BuiltInPrompt(
        "summarize_document",
        "Summarize a document",
        "Summarize one of the user's documents.",
        "document",
        "The document's id, the last part of its address. A title may precede it: Handbook [id]",
        "Summarize this document: its purpose, its main points, and anything that calls for a decision.",
        scope="documents",
        resource="parley://documents/{argument}",
    ),
    BuiltInPrompt(
        "recall",
        "What did we say about …?",
        "Find what was said about a topic in past conversations.",
        "topic",
        "The topic",
        "Find what I have said and learnt about the following topic in my past conversations in Parley, with the tool "
        "search_conversations. Give dates, and point out where later statements contradict earlier ones.\n\nTopic: {argument}",
        scope="conversations",
    ),
    BuiltInPrompt(
        "continue_conversation",
        "Continue a conversation",
        "Continue one of the user's conversations here.",
        "conversation",
        "The conversation's id, the last part of its address. A title may precede it: Holidays [id]",
        "This is a conversation that I had in Parley. Read it, say in one sentence where it ended, and continue it with me.",
        scope="conversations",
        resource="parley://conversations/{argument}",
    ),
)


_BUILT_IN = {prompt.name for prompt in PROMPTS}


def list_prompts(services: ToolsServices, principal: Principal, _params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prompts for the scopes of the token."""
    built_in = [_describe(prompt) for prompt in PROMPTS if prompt.scope in principal.scopes]
    library = [prompt for prompt in describe_library(services, principal) if prompt["name"] not in _BUILT_IN]
    return {"prompts": built_in + library}


def get_prompt(services: ToolsServices, principal: Principal, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the messages of a prompt. Raises RpcError for an unknown prompt, an invalid argument, or an unknown resource."""
    if stored := find_library_prompt(services, principal, params.get("name")):
        return fill_from_library(stored, params.get("arguments") or {})
    prompt, arguments = find_prompt(params.get("name"), principal), params.get("arguments") or {}
    argument = arguments.get(prompt.argument) if isinstance(arguments, dict) else None
    if not isinstance(argument, str) or not 0 < len(argument) <= MAX_ARGUMENT_LENGTH:
        raise RpcError(INVALID_PARAMS, f"The argument {prompt.argument} is required, with at most {MAX_ARGUMENT_LENGTH} characters.")
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt.text.replace("{argument}", argument)}]
    if prompt.resource:
        resource = resource_text(services, principal, prompt.resource.replace("{argument}", _id_in(argument)))
        content.insert(0, {"type": "resource", "resource": resource})
    return {"description": prompt.description, "messages": [{"role": "user", "content": part} for part in content]}


def find_prompt(name: object, principal: Principal) -> BuiltInPrompt:
    """Return the built-in prompt with this name. Raises RpcError if there is none for the scopes of the token."""
    prompt = next((one for one in PROMPTS if one.name == name and one.scope in principal.scopes), None)
    if prompt is None:
        raise RpcError(INVALID_PARAMS, f"Unknown prompt: {str(name)[:100]}")
    return prompt


def find_library_prompt(services: ToolsServices, principal: Principal, name: object) -> Prompt | None:
    """Return the prompt of the user's library with this name. None if there is none, or if a built-in prompt has the name."""
    return find_in_library(services, principal, name) if isinstance(name, str) and name not in _BUILT_IN else None


def titled_id(title: str, id: UUID) -> str:
    """Return a title with its id in brackets. The user recognises the title, and the prompt needs the id."""
    return f"{title} [{id}]"


def _id_in(argument: str) -> str:
    """Return the id in an argument, which is an id or ends with one in brackets."""
    return argument[:-1].rpartition("[")[2] if argument.endswith("]") else argument


def _describe(prompt: BuiltInPrompt) -> dict[str, Any]:
    argument = {"name": prompt.argument, "description": prompt.argument_description, "required": True}
    return {"name": prompt.name, "title": prompt.title, "description": prompt.description, "arguments": [argument]}
