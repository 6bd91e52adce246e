"""The tool `ask_user`, by which a model asks its user. It never runs: its call pauses the turn until the user has answered."""

from dataclasses import dataclass

from parley.tools.spec import ToolSpec

MAX_QUESTIONS = 4
MAX_TEXT = 500
MAX_OPTIONS = 12
MAX_OPTION_TEXT = 200
# The bounds of any form: an MCP server may ask more than a model.
MAX_FIELDS = 10
MAX_FIELD_OPTIONS = 50
MAX_ANSWER_CHARACTERS = 4_000
KINDS = ("choice", "multiple", "text", "number", "boolean")

_QUESTION = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "description": "The question, in the user's language"},
        "kind": {"enum": list(KINDS), "description": "choice takes one of the options, multiple any number of them"},
        "options": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_OPTION_TEXT},
            "maxItems": MAX_OPTIONS,
            "description": "The options of choice and multiple, at least two",
        },
        "required": {"type": "boolean", "description": "Whether the user must answer, true by default"},
    },
    "required": ["text", "kind"],
    "additionalProperties": False,
}
ASK_USER = ToolSpec(
    "ask_user",
    "Ask the user questions in a form, and wait for the answers. Use it only if you cannot continue without them, and ask everything at "
    "once. Never ask for passwords or other secrets.",
    {
        "type": "object",
        "properties": {"questions": {"type": "array", "items": _QUESTION, "minItems": 1, "maxItems": MAX_QUESTIONS}},
        "required": ["questions"],
        "additionalProperties": False,
    },
    "builtin",
)


@dataclass(frozen=True, slots=True)
class AskUserTool:
    """`ask_user` as a tool that models may call. It needs no approval: the user answers it, or declines."""

    spec: ToolSpec = ASK_USER
    user_requires_approval: bool | None = None
