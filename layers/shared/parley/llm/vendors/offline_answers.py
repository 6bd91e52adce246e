"""The offline model's answers, titles, summaries, facts and chunk descriptions, made by rules."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from parley.llm import prompts
from parley.llm.messages import Message, ModelRequest, Source, ToolCall, ToolResult
from parley.llm.prompts import TOOL_RESULT_HEADING, TranscriptLine
from parley.llm.vendors.offline_facts import SENTENCE, extract_facts
from parley.snippets import excerpt, stem

GREETING = (
    "I am Parley's offline model. I need no network and no key, and I have no intelligence. "
    "I show that the rest works: your account, this stream, and the stored conversation."
)
HINT = "To get real answers, set OPENAI_API_KEY or configure a model in models.toml."
MAX_TITLE_WORDS, MAX_SUMMARY_WORDS, MAX_LINE_CHARACTERS = 7, 250, 160
MAX_QUOTES, MAX_QUOTE_CHARACTERS = 3, 200
# Most of a chunk: if few words match, they do not show which part of it answers.
MAX_UNMATCHED_QUOTE_CHARACTERS = 800
_QUESTION_OPENING = re.compile(
    r"^(?:(?:hi|hello|hey|please|ok(?:ay)?|so|well)\b[\s,!.]*)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell me|explain(?: to me)?|help me (?:to )?|show me|give me)?\s*"
    r"|(?:tell me|explain|show me|give me)(?: about)?\s+"
    r"|(?:what|who|where|when)(?:'s| is| are| was| were)\s+"
    r"|how (?:do|can|should) i\s+)?(?:(?:the|a|an)\s+)?",
    re.IGNORECASE,
)
# Only this much of a question is compared with the rules.
MAX_QUESTION_CHARACTERS = 2_000
# Every pattern takes linear time for any text, because users write the texts.
_PERCENT = re.compile(r"(?<!\d)(\d++(?:\.\d++)?+)\s*+(?:%|percent)\s++of\s++(\d+(?:\.\d+)?)", re.IGNORECASE)
_OPERAND = r"-?\d++(?:\.\d++)?+(?:\s*+\)++)?+"
# The look-behinds let a match begin only at the start of a row of digits or brackets, which keeps the search linear.
_ARITHMETIC = re.compile(rf"(?:(?<!\()\(++\s*+)?(?<!\d){_OPERAND}(?:\s*+(?:\*\*|[-+*/%^])\s*+(?:\(++\s*+)?{_OPERAND})++")
_WEATHER = re.compile(r"\b(?:weather|forecast|temperature)\b", re.IGNORECASE)
_PLACE = re.compile(
    r"\b(?:in|for|at)\s+([^\W\d_][\w' -]{0,60}?)\s{0,9}(?:\b(?:today|tomorrow|now|right now|this week)\b|[?.!,;]|$)", re.IGNORECASE
)
_WORD = re.compile(r"\w{3,}")
_OTHER_SPEAKER = re.compile(r"\n(?:Assistant|Tool): ")
_ABOUT_USER = re.compile(r"\b(?:my|me|i|mine|remember)\b", re.IGNORECASE)
# The beginning of a date in a fact, which has it as a number and in words.
_NUMERIC_DATE = re.compile(r"\(\d{4}-\d{2}-\d{2}, (?=[A-Z][a-z]{2,5}day, )")
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "the and for are was were been what which who whom whose when where why how does did has have had can could should would will "
        "may might must not any all many much get got you your our their his her its they them there here with from that this these "
        "those about than then into user tell please",
    )
)


def answer_task(request: ModelRequest) -> str:
    """Return the result for the request's task: a title, a summary, facts as JSON, or a chunk's description."""
    text = "\n".join(message.text for message in request.messages)
    match request.task:
        case "title":
            return make_title(next((line.text for line in prompts.read_transcript(text)[1]), text))
        case "facts":
            return json.dumps({"facts": [{"text": fact, "message": seq} for seq, fact in extract_facts(prompts.read_transcript(text)[1])]})
        case "describe":
            return describe_chunk(*prompts.read_chunk_prompt(text))
    earlier, lines = prompts.read_transcript(text)
    return summarize_lines(earlier, lines)


def make_title(question: str) -> str:
    """Return a title: the question's first words after phrases such as "please tell me"."""
    sentence = next((part.strip() for part in SENTENCE.split(question) if part.strip()), "")
    words = (_QUESTION_OPENING.sub("", sentence, count=1) or sentence).split()[:MAX_TITLE_WORDS]
    shortened = " ".join(words).strip(" .,;:!?\"'“”")
    return shortened[:1].upper() + shortened[1:]


def describe_chunk(heading_path: str, text: str) -> str:
    """Return a chunk's heading path and the beginning of its text."""
    first = next((part.strip() for part in SENTENCE.split(text) if part.strip()), "")
    return f"From {heading_path.replace(' > ', ', ')}: {_beginning(first)}"


def summarize_lines(earlier: str | None, lines: list[TranscriptLine]) -> str:
    """Return the earlier summary and a line with the beginning of each message. If this is too long, the oldest lines are dropped."""
    summary = [f"- {line.speaker}: {_beginning(line.text)}" for line in lines if line.text.strip()]
    summary = (earlier.splitlines() if earlier else []) + summary
    while len(summary) > 1 and sum(len(line.split()) for line in summary) > MAX_SUMMARY_WORDS:
        del summary[0]
    return "\n".join(summary)


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LINE_CHARACTERS else line[: MAX_LINE_CHARACTERS - 1].rstrip() + "…"


def answer_tool_calls(request: ModelRequest) -> list[ToolCall]:
    """Return the tool calls for the newest question: none if no offered tool matches or the tools have run already."""
    newest = request.messages[-1]
    if newest.role != "user" or request.tool_choice == "none":
        return []
    offered = {tool.name: tool.parameters for tool in request.tools}
    question = newest.text[:MAX_QUESTION_CHARACTERS]
    arguments = {"calculator": arithmetic(question), "weather": _weather_place(question)}
    return [_tool_call(name, offered[name], argument) for name, argument in arguments.items() if argument and name in offered]


def _weather_place(text: str) -> str | None:
    """Return the place in a question about the weather, or None."""
    place = _PLACE.search(text) if _WEATHER.search(text) else None
    return place[1] if place else None


def arithmetic(text: str) -> str | None:
    """Return the first arithmetic expression in a question, or None. A date is not an expression."""
    if percent := _PERCENT.search(text):
        return f"{percent[1]} / 100 * {percent[2]}"
    if not (match := _ARITHMETIC.search(text)):
        return None
    expression = match[0].strip()
    is_date = re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", expression)
    return expression if expression.count("(") == expression.count(")") and not is_date else None


def answer_request(request: ModelRequest) -> str:
    """Return the whole answer to a request.

    After a call of tools, these are their results. With sources, it quotes them and adds the facts that match the question. Otherwise it
    lists the facts and, if none of them matches, first quotes what the user said about it earlier. Without any, it says what this model is.
    """
    if request.task != "chat":
        return answer_task(request)
    if request.output:
        return json.dumps(_empty_value(request.output.schema))
    if results := [part for part in request.messages[-1].parts if isinstance(part, ToolResult)]:
        return "\n\n".join(
            f"The tool {'failed' if part.is_error else 'says'}: {part.text.removeprefix(TOOL_RESULT_HEADING)}" for part in results
        )
    question = _questions(request.messages)[-1][:MAX_QUESTION_CHARACTERS]
    facts = request.facts if _ABOUT_USER.search(question) else ()
    matching = [fact for fact in facts if _words(question) & _words(fact)]
    if request.sources:
        # Documents that the retrieval chose say more than facts that do not match the question.
        return "\n\n".join([_quote_sources(question, request.sources), *([_list_facts(matching)] if matching else [])])
    said = [] if matching else _said_earlier(question, request.passages)
    memories = [*([_quote_user(said)] if said else []), *([_list_facts(facts)] if facts else [])]
    return "\n\n".join(memories) or _help_text(request.messages)


def _quote_sources(question: str, sources: Sequence[Source]) -> str:
    """Quote the sources that share most words with the question.

    If no source shares more than half of its words, the first one is quoted too: the retrieval found it by its meaning.
    """
    words = _words(question)
    shared = {source.number: len(words & _words(f"{source.title} {source.text}")) for source in sources}
    most = max(shared.values())
    alike = [source for source in sources if shared[source.number] >= max(1, (most + 1) // 2)]
    if len(words) < 2 * most:
        quoted, characters = sorted(alike, key=lambda source: (-shared[source.number], source.number)), MAX_QUOTE_CHARACTERS
    else:
        quoted, characters = list(dict.fromkeys([sources[0], *alike])), MAX_UNMATCHED_QUOTE_CHARACTERS
    # Answers are Markdown: only an empty line keeps quotations apart.
    quotations = (f"“{_quotation(source.text, question, characters)}” [{source.number}]" for source in quoted[:MAX_QUOTES])
    return "\n\n".join(["The documents say:", *quotations])


def _said_earlier(question: str, passages: Sequence[str]) -> list[str]:
    """Return the statements of the user that answer the question best.

    These share the most words with the question, at least half of its words, and also have words that it lacks.
    """
    words = _words(question)
    statements = dict.fromkeys(statement for passage in passages for statement in _statements_of_user(passage))
    shared = {statement: len(words & found) for statement in statements if (found := _words(statement)) - words}
    most = max(shared.values(), default=0)
    alike = [statement for statement, count in shared.items() if 0 < most == count and 2 * count >= len(words)]
    return [_shortened(statement) for statement in alike[:MAX_QUOTES]]


def _statements_of_user(passage: str) -> Iterator[str]:
    """Yield the sentences of the user in a passage, except questions."""
    for line in passage.split("\nUser: ")[1:]:
        sentences = SENTENCE.split(_OTHER_SPEAKER.split(line, maxsplit=1)[0])
        yield from (sentence for part in sentences if (sentence := part.strip()) and not sentence.endswith("?"))


def _quote_user(statements: Sequence[str]) -> str:
    return "\n\n".join(["In an earlier conversation you said:", *(f"“{statement}”" for statement in statements)])


def _list_facts(facts: Sequence[str]) -> str:
    return "I have these facts about you:\n\n" + "\n".join(f"- {_NUMERIC_DATE.sub('(', fact)}" for fact in facts)


def _help_text(messages: Sequence[Message]) -> str:
    questions = _questions(messages)
    earlier = f" Before that you said: “{_shortened(questions[-2])}”" if len(questions) > 1 else ""
    return f"{GREETING}\n\nYou said: “{_shortened(questions[-1])}”{earlier}\n\n{HINT}"


def _questions(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role == "user"] or [""]


def _quotation(text: str, question: str, characters: int) -> str:
    """Return the part of a source that matches the question, with ellipses where it was cut."""
    text = " ".join(text.split())
    part = excerpt(text, question, characters=characters)
    return f"{'' if text.startswith(part) else '…'}{part}{'' if text.endswith(part) else '…'}"


def _words(text: str) -> set[str]:
    """Return the stems of a text's words, without words that occur in every question."""
    return {stem(word) for word in _WORD.findall(text) if word.casefold() not in _STOP_WORDS}


def _tool_call(name: str, parameters: Mapping[str, object], argument: str) -> ToolCall:
    """Return a call with the argument as the tool's first required parameter, or else its first parameter."""
    required, fields = parameters.get("required"), parameters.get("properties")
    names = [*(required if isinstance(required, list) else ()), *(fields if isinstance(fields, Mapping) else ())]
    return ToolCall(f"offline_{name}", name, json.dumps({str(names[0]) if names else "input": argument}, ensure_ascii=False))


def _empty_value(schema: Mapping[str, object]) -> object:
    """Return an empty value that matches a simple schema."""
    match schema:
        case {"const": value}:
            return value
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            fields, required = schema.get("properties"), schema.get("required")
            known = fields if isinstance(fields, Mapping) else {}
            return {str(name): _empty_value(known.get(name) or {}) for name in (required if isinstance(required, list) else [])}
        case {"type": str() as kind}:
            empty: dict[str, object] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
            return empty.get(kind)
    return None


def _shortened(text: str, *, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
