"""Finds facts about a user by rules, for the offline model. It would rather miss a fact than state a wrong one.

A rule takes only what the user states about themself, in the present and without a condition. Quotations, code, texts to translate or
rewrite, questions and choices within a task are left out, even at the price of a fact. `tests/data/facts` measures both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from parley.llm.prompts import TranscriptLine

SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
# Every pattern takes linear time for any text, because users write the texts. The rules expect single spaces.
_QUOTED = re.compile(r'"[^"\n]*"|“[^“”\n]*”|«[^«»\n]*»')
_END = r" ?(?=[.!?;]|,| (?:and|but|because|so|now|anymore) | ?$)"
# An enumeration may contain commas and "and".
_LIST_END = r" ?(?=[.!?;]| but | because | so | ?$)"
_I_AM = r"\bI(?: am|'m|’m) "
_RELATIVES = "wife|husband|partner|girlfriend|boyfriend|daughter|son|sister|brother|mother|father|mum|mom|dad|dog|cat|boss"
# Before a statement, in the same clause, these make it a condition, a wish, a denial, a question or the words of another person.
_NOT_STATED = re.compile(
    r"\b(?:if|when|whenever|where|whether|unless|imagine|suppose|pretend|assume|wish|hope|that|not|never|nobody|no one|would|could|should|"
    r"do|does|did|is|are|am|why|what|how|who)\b|n['’]t\b",
    re.IGNORECASE,
)
_OTHERS_WORDS = re.compile(r"(?<!\bI )\b(?:says?|said|wrote|writes|told|asked|asks|claims?|claimed|begins with|reads)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;:]| (?:and|but|because|so) ", re.IGNORECASE)
# A sentence with such a verb asks for work on a text. If it ends with a colon, the text follows.
_TEXT_TASK = re.compile(
    r"\b(?:translate|proofread|rewrite|rephrase|paraphrase|correct|improve|summari[sz]e|shorten|write|poem|story|essay|lyrics)\b",
    re.IGNORECASE,
)
_FILLER = re.compile(r"(?:hi|hello|hey|well|so|ok|okay|and|also|please|by the way|btw)?\W*", re.IGNORECASE)
# Ends a value: a question or an addition that follows it, or a time or company that does not belong to it.
_ADDITION = re.compile(
    r",? (?:what|which|where|how|why|who|when|can|could|is there|are there|do|does|please|any|although|though|since|before|after|"
    r"and (?:I|my|we|it|"
    r"he|she|often|now)|"
    r"for (?:\w+ )?(?:days|weeks|months|years)|(?:last|this|next) (?:week|month|year|spring|summer|autumn|winter)|yesterday|today|recently|"
    r"with my|these days|at the moment|anymore|any more|now)\b",
    re.IGNORECASE,
)
_REMEMBER = re.compile(r"^(?:please |also |and |(?:can|could|will|would) you )*remember,? that (.+?)(?=[.!?]| ?$)", re.IGNORECASE)
_NOT_FACT = re.compile(r"(?:time|day|one|film|movie|song|scene|you|your|the answers?|it|this|that)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern, the sentence to make of its groups, and what its last group must not begin with."""

    pattern: re.Pattern[str]
    form: str
    refused: re.Pattern[str]
    is_name: bool = False


def _rule(pattern: str, form: str, *, refused: str, is_name: bool = False) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), form, re.compile(rf"(?:{refused})(?!\w)", re.IGNORECASE), is_name)


_POINTERS = r"it|this|that|these|those|here|there|you|me|them|one|both|neither|either|something|anything|nothing"
_RULES = [
    _rule(
        r"\bmy name is ([^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*)*)",
        "The user's name is {}.",
        refused=r"not|on|in|at|the|an?|my|too|also|always|often|spel\w+|written|wrong|missing|listed|pronounced|hard|difficult|common",
        is_name=True,
    ),
    _rule(
        rf"\bI (?:now |currently )?live in (.+?){_END}",
        "The user lives in {}.",
        refused=rf"{_POINTERS}|fear|hope|denial|peace|poverty|pain|hell|the (?:past|present|future|moment|dark)|my|your|his|her|our|their|"
        r"constant|total|complete|an? (?:world|dream|bubble|fantasy|simulation|society|democracy|state|time|age|era)|(?:spring|summer|"
        r"winter)",
    ),
    # Only names: one moves to a city, but also to a tool, a version or the next step.
    _rule(
        rf"\bI(?: have|'ve|’ve)? (?:just |now |recently )?moved to (.+?){_END}",
        "The user lives in {}.",
        refused=r"\S*\d|[A-Z]{2} code|vs code|python|java\w*|typescript|rust|go|linux|ubuntu|debian|windows|macos|mac|ios|android|aws|"
        r"azure|gcp|"
        r"google|docker|kubernetes|postgres\w*|mysql|react|vue|angular|git\w*|vim|neovim|emacs|slack|teams|notion|firefox|chrome|"
        r"proton|signal",
        is_name=True,
    ),
    _rule(
        rf"{_I_AM}(?:very |highly |deadly |severely )?allergic to (.+?){_LIST_END}",
        "The user is allergic to {}.",
        refused=rf"{_POINTERS}|meetings?|mondays?|work|bureaucracy|nonsense",
    ),
    _rule(
        rf"\bI (?:now )?prefer (.+?){_LIST_END}",
        "The user prefers {}.",
        refused=rf"{_POINTERS}|not|to|if|when|the (?:first|second|third|last|latter|former|other|original|old|new|short\w*|long\w*)|"
        rf"option|version|"
        r"my|your|an? (?:short\w*|long\w*|different|simpl\w+|more|less)|short\w*|longer|more|less|\w",
    ),
    _rule(
        rf"\bI work (as|at|for) (.+?){_END}",
        "The user works {} {}.",
        refused=rf"{_POINTERS}|fast|hard|well|much|long|usual|intended|expected|planned|soon|if|though|a team|home|nights?|weekends?|"
        rf"full|least|all|"
        r"once|the (?:moment|weekend|wrong|right)|free|myself|(?:the )?money|hours|days|weeks|months|years|an? (?:living|while|hour|"
        r"day|week|month|"
        r"year)|\d",
    ),
    _rule(
        rf"{_I_AM}(?:an? )?(vegetarian|vegan|pescatarian|lactose intolerant|coeliac|celiac|diabetic|left-handed|colou?r-?blind){_END}",
        "The user is {}.",
        refused=r"\d",
    ),
    _rule(
        rf"\bmy birthday is (?:on )?(?:the )?(.+?){_END}",
        "The user's birthday is {}.",
        refused=rf"{_POINTERS}|coming|soon|near|next|today|tomorrow|over|not|in",
    ),
    _rule(
        rf"\bmy ({_RELATIVES})(?:['’]s name is| is called| is named) ([^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*)*)",
        "The user's {} is called {}.",
        refused=r"not|also|often|the|an?|by",
        is_name=True,
    ),
    _rule(
        rf"\bmy favou?rite ([a-z]+(?: [a-z]+)?) is (.+?){_END}",
        "The user's favourite {} is {}.",
        refused=rf"{_POINTERS}|not|the|still|also|when|where",
    ),
]


def extract_facts(lines: list[TranscriptLine]) -> Iterator[tuple[int, str]]:
    """Yield the facts that users state about themselves, each with its message's number."""
    for line in lines:
        if line.speaker == "user":
            yield from ((line.seq, fact) for fact in dict.fromkeys(_facts_in(line.text)))


def _facts_in(text: str) -> Iterator[str]:
    for sentence in _own_sentences(text):
        facts = [fact for rule in _RULES if (fact := _fact(rule, sentence))]
        yield from facts
        if not facts and (remember := _REMEMBER.match(sentence)) and not _NOT_FACT.match(remember[1]):
            fact = remember[1].strip(" ,")
            yield f"{fact[:1].upper()}{fact[1:]}."


def _own_sentences(text: str) -> Iterator[str]:
    """Yield the sentences in which users speak for themselves: outside code and quotations, and not as a text to work on."""
    for part in SENTENCE.split("\n".join(text.split("```")[::2])):
        sentence = " ".join(_QUOTED.sub("…", part).split())
        if sentence.startswith(">"):
            continue
        if _TEXT_TASK.search(sentence):
            if sentence.endswith(":"):
                return
            continue
        yield sentence


def _fact(rule: _Rule, sentence: str) -> str | None:
    """Return the fact that a sentence states by a rule, or None."""
    match = rule.pattern.search(sentence)
    if match is None or not _is_stated(sentence, match):
        return None
    *others, value = match.groups()
    value = _name(value) if rule.is_name else _ADDITION.split(value, maxsplit=1)[0].strip(" ,")
    if not value or rule.refused.match(value):
        return None
    return rule.form.format(*(other.lower() for other in others), value)


def _is_stated(sentence: str, match: re.Match[str]) -> bool:
    """Whether the statement is the user's own and holds: no condition, denial or speaker before it, and no question about it."""
    before = sentence[: match.start()]
    clause = _CLAUSE.split(before)[-1]
    if _OTHERS_WORDS.search(before) or _NOT_STATED.search(clause):
        return False
    # "I live in Lyon, where can I ski?" states something; "I live in Lyon?" asks.
    return not sentence.endswith("?") or (
        _FILLER.fullmatch(before) is not None and "," in sentence[match.end(match.lastindex or 0) :] + match[0]
    )


def _name(value: str) -> str:
    """Return the name at the beginning of a text: its words up to the first one in lower case, or a single word in lower case."""
    words = value.split()
    named = next((number for number, word in enumerate(words) if not word[0].isupper()), len(words))
    return " ".join(words[:named]) if named else " ".join(words) if len(words) == 1 else ""
