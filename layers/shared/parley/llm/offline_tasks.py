"""What the offline model makes of what it reads: a title, a summary, facts, a description. Rules, no intelligence."""

import json
import re
from collections.abc import Iterator

from parley.llm import piece, transcript
from parley.llm.transcript import Line
from parley.llm.types import Request

MAX_TITLE_WORDS, MAX_SUMMARY_WORDS, MAX_QUOTED = 7, 250, 160

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_OPENING = re.compile(
    r"^(?:(?:hi|hello|hey|please|ok(?:ay)?|so|well)\b[\s,!.]*)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell me|explain(?: to me)?|help me (?:to )?|show me|give me)?\s*"
    r"|(?:tell me|explain|show me|give me)(?: about)?\s+"
    r"|(?:what|who|where|when)(?:'s| is| are| was| were)\s+"
    r"|how (?:do|can|should) i\s+)?(?:(?:the|a|an)\s+)?",
    re.IGNORECASE,
)
_END = r"\s*(?=[.!?;\n]|,| (?:and|but|because|so|now|anymore) |\s*$)"
_FACTS = [
    (re.compile(r"(?i:\bmy name is) ([^\W\d_][\w'’-]*(?: [A-Z][\w'’-]*)*)"), "The user's name is {}."),
    (re.compile(rf"\bI (?:now |currently )?live in (.+?){_END}", re.IGNORECASE), "The user lives in {}."),
    (re.compile(rf"\bI(?: have|'ve|’ve)? (?:just |now |recently )?moved to (.+?){_END}", re.IGNORECASE), "The user lives in {}."),
    (re.compile(r"\bI(?: am|'m|’m) allergic to (.+?)(?=[.!?;\n]| but | because |\s*$)", re.IGNORECASE), "The user is allergic to {}."),
    (re.compile(r"\bI (?:now )?prefer (.+?)(?=[.!?;\n]| because |\s*$)", re.IGNORECASE), "The user prefers {}."),
    (re.compile(r"\bI work (as|at|for) (.+?)(?=[.!?;\n]| and | but |\s*$)", re.IGNORECASE), "The user works {} {}."),
]
_REMEMBER = re.compile(r"\bremember(?:,)? that (.+?)(?=[.!?\n]|\s*$)", re.IGNORECASE)
_TRAILING = re.compile(r"\s+(?:now|these days|at the moment|anymore)$", re.IGNORECASE)


def answer(request: Request) -> str:
    """Return what the request's task asks for."""
    text = "\n".join(message.text for message in request.messages)
    match request.task:
        case "title":
            return title(next((line.text for line in transcript.read(text)[1]), text))
        case "facts":
            return json.dumps({"facts": [{"text": fact, "message": seq} for seq, fact in facts(transcript.read(text)[1])]})
        case "describe":
            return description(*piece.read(text))
    earlier, lines = transcript.read(text)
    return summary(earlier, lines)


def title(question: str) -> str:
    """Return the first words that say what a question is about."""
    sentence = next((part.strip() for part in _SENTENCE.split(question) if part.strip()), "")
    words = (_OPENING.sub("", sentence, count=1) or sentence).split()[:MAX_TITLE_WORDS]
    shortened = " ".join(words).strip(" .,;:!?\"'“”")
    return shortened[:1].upper() + shortened[1:]


def description(way: str, text: str) -> str:
    """Return where a piece of a document stands, and how it begins."""
    first = next((part.strip() for part in _SENTENCE.split(text) if part.strip()), "")
    return f"From {way.replace(' > ', ', ')}: {_beginning(first)}"


def summary(earlier: str | None, lines: list[Line]) -> str:
    """Return the beginning of what everybody said, a line each; where it gets long, without the oldest."""
    kept = (earlier.splitlines() if earlier else []) + [f"- {line.speaker}: {_beginning(line.text)}" for line in lines if line.text.strip()]
    while len(kept) > 1 and sum(len(line.split()) for line in kept) > MAX_SUMMARY_WORDS:
        del kept[0]
    return "\n".join(kept)


def facts(lines: list[Line]) -> Iterator[tuple[int, str]]:
    """Yield what the user says of themself, with the number of the message."""
    for line in lines:
        if line.speaker == "user":
            yield from ((line.seq, fact) for fact in dict.fromkeys(_facts_in(line.text)))


def _facts_in(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text):
        found = [form.format(*map(_trimmed, match.groups())) for rule, form in _FACTS if (match := rule.search(sentence))]
        yield from found
        if not found and (asked := _REMEMBER.search(sentence)):
            told = _trimmed(asked[1])
            yield f"{told[:1].upper()}{told[1:]}."


def _trimmed(words: str) -> str:
    return _TRAILING.sub("", words.strip(" ,"))


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1].rstrip() + "…"
