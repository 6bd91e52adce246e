"""What the offline model says: rules, no intelligence."""

import json
import re
from collections.abc import Mapping, Sequence

from parley.llm import offline_tasks
from parley.llm.grounding import RESULT
from parley.llm.types import Message, Request, Source, ToolCall, ToolResult
from parley.memory.snippets import excerpt

GREETING = (
    "I am Parley's offline model: no network, no key, no intelligence. "
    "I show that everything around me works: your account, this stream, and the conversation that is now stored."
)
HINT = "Set OPENAI_API_KEY, or name a model in models.toml, and a real one answers here."
MAX_QUOTES, MAX_QUOTED = 3, 200

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:%|percent)\s+of\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
_OPERAND = r"\(*\s*-?\d+(?:\.\d+)?\s*\)*"
_ARITHMETIC = re.compile(rf"{_OPERAND}(?:\s*(?:\*\*|[-+*/%^])\s*{_OPERAND})+")
_WEATHER = re.compile(r"\b(?:weather|forecast|temperature)\b", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:in|for|at)\s+([^\W\d_][\w' -]*?)\s*(?:\b(?:today|tomorrow|now|right now|this week)\b|[?.!,;]|$)", re.IGNORECASE)
_WORD = re.compile(r"\w{3,}")
_ABOUT_USER = re.compile(r"\b(?:my|me|i|mine|remember)\b", re.IGNORECASE)
_COMMON = frozenset(re.findall(r"\w+", "the and for are was what which who how does did you your with from that this about tell please"))


def tool_calls(request: Request) -> list[ToolCall]:
    """Return the calls that the newest question needs, none if no offered tool fits or they have been answered."""
    newest = request.messages[-1]
    if newest.role != "user" or request.tool_choice == "none":
        return []
    offered = {tool.name: tool.parameters for tool in request.tools}
    wanted = {"calculator": arithmetic(newest.text), "weather": _place(newest.text)}
    return [_call(name, offered[name], argument) for name, argument in wanted.items() if argument and name in offered]


def _place(text: str) -> str | None:
    """Return the place whose weather a question is about."""
    place = _PLACE.search(text) if _WEATHER.search(text) else None
    return place[1] if place else None


def arithmetic(text: str) -> str | None:
    """Return the sum that a question contains, as an expression."""
    if percent := _PERCENT.search(text):
        return f"{percent[1]} / 100 * {percent[2]}"
    if not (found := _ARITHMETIC.search(text)):
        return None
    expression = found[0].strip()
    is_date = re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", expression)
    return expression if expression.count("(") == expression.count(")") and not is_date else None


def answer(request: Request) -> str:
    """Return the whole answer: results of tools, else quoted sources, else facts, else what this is. Other tasks have their own rules."""
    if request.task != "chat":
        return offline_tasks.answer(request)
    if request.output:
        return json.dumps(_value(request.output.schema))
    if results := [part for part in request.messages[-1].parts if isinstance(part, ToolResult)]:
        return "\n".join(f"The tool {'failed' if part.is_error else 'says'}: {part.text.removeprefix(RESULT)}" for part in results)
    question = _questions(request.messages)[-1]
    if quotes := _best(question, request.sources):
        passages = "\n".join(f"“{_quotation(source.text, question)}” [{source.number}]" for source in quotes)
        return f"The documents say:\n\n{passages}"
    if request.facts and _ABOUT_USER.search(question):
        return "I was handed these facts about you:\n\n" + "\n".join(f"- {fact}" for fact in request.facts)
    return _help(request.messages)


def _help(messages: Sequence[Message]) -> str:
    questions = _questions(messages)
    earlier = f" Before that you said: “{_short(questions[-2])}”" if len(questions) > 1 else ""
    return f"{GREETING}\n\nYou said: “{_short(questions[-1])}”{earlier}\n\n{HINT}"


def _questions(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role == "user"] or [""]


def _best(question: str, sources: Sequence[Source]) -> list[Source]:
    """Return the sources that share most words with the question; none that shares none, or not half as many as the best."""
    asked = _words(question)
    shared = {source.number: len(asked & _words(f"{source.title} {source.text}")) for source in sources}
    least = max(1, (max(shared.values(), default=0) + 1) // 2)
    near = (source for source in sources if shared[source.number] >= least)
    ranked = sorted(near, key=lambda source: (-shared[source.number], source.number))
    return ranked[:MAX_QUOTES]


def _quotation(text: str, question: str) -> str:
    """Return the part of a source that the question is about."""
    text = " ".join(text.split())
    part = excerpt(text, question, characters=MAX_QUOTED)
    return f"{'' if text.startswith(part) else '…'}{part}{'' if text.endswith(part) else '…'}"


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)} - _COMMON


def _call(name: str, parameters: Mapping[str, object], argument: str) -> ToolCall:
    """Fill the tool's first required string, or its first field."""
    required, fields = parameters.get("required"), parameters.get("properties")
    names = [*(required if isinstance(required, list) else ()), *(fields if isinstance(fields, Mapping) else ())]
    return ToolCall(f"offline_{name}", name, json.dumps({str(names[0]) if names else "input": argument}, ensure_ascii=False))


def _value(schema: Mapping[str, object]) -> object:
    """Return the emptiest value that keeps to a plain schema: there is nothing here that could fill it."""
    match schema:
        case {"const": value}:
            return value
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            fields, required = schema.get("properties"), schema.get("required")
            known = fields if isinstance(fields, Mapping) else {}
            return {str(name): _value(known.get(name) or {}) for name in (required if isinstance(required, list) else [])}
        case {"type": str() as kind}:
            empty: dict[str, object] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
            return empty.get(kind)
    return None


def _short(text: str, *, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
