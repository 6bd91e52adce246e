"""The text for a free-form tool, which the model writes as the parameter `input` of a function.

The text is decoded while the model writes it, so that it reaches the client in pieces. The decoder accepts more than JSON: models forget
to escape a quotation mark or a line feed in a long text.
"""

import json
import re

from parley.llm.provider import storable

_BEGINNING = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"input"[ \t\r\n]*:[ \t\r\n]*"')
_MAX_BEGINNING = 200
# Text without escapes, a pair of surrogates, a character by its number, or another escape.
_TOKEN = re.compile(
    r'[^"\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.',
    re.DOTALL,
)
_LONGEST_ESCAPE = 12
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


class FreeFormText:
    """Decodes the text from the pieces of a call's arguments."""

    def __init__(self) -> None:
        self._rest = ""
        self._has_begun = self._is_over = False

    def feed(self, piece: str) -> str:
        """Return the text that a piece adds. `free_form_input` returns the whole text, which begins with the texts returned here."""
        if self._is_over:
            return ""
        self._rest += piece
        if not self._has_begun:
            beginning = _BEGINNING.match(self._rest)
            if beginning is None:
                self._is_over = len(self._rest) > _MAX_BEGINNING
                return ""
            self._has_begun, self._rest = True, self._rest[beginning.end() :]
        text, end = _decode(self._rest, is_whole=False)
        self._rest = self._rest[end:]
        self._is_over = self._rest.startswith('"')
        return text


def free_form_arguments(text: str) -> str:
    """Return the arguments of the function that stands for a free-form tool."""
    return json.dumps({"input": text}, ensure_ascii=False)


def incomplete_arguments(text: str) -> str:
    """Return arguments that break off after this text."""
    return free_form_arguments(text).removesuffix('"}')


def free_form_input(arguments: str) -> str:
    """Return the text for a free-form tool. A model that wrote no JSON object with `input` has meant its text itself."""
    beginning = _BEGINNING.match(arguments)
    if beginning is None:
        meant = _object(arguments).get("input")
        return storable(meant) if isinstance(meant, str) else arguments
    text, end = _decode(arguments[beginning.end() :], is_whole=True)
    rest = arguments[beginning.end() + end :]
    if _object(arguments):
        return text
    # The answer broke off, or a quotation mark within the text is not escaped.
    return text + _TOKEN.sub(lambda token: _unescaped(token[0]), rest.rstrip().removesuffix("}").rstrip().removesuffix('"'))


def _object(arguments: str) -> dict[str, object]:
    """Return the arguments as an object, which is empty if they are not one."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _decode(raw: str, *, is_whole: bool) -> tuple[str, int]:
    """Return the text up to the closing quotation mark, and where it ends. An escape that may continue in the next piece is left."""
    texts, position = list[str](), 0
    while position < len(raw) and raw[position] != '"':
        is_cut = not is_whole and len(raw) - position < _LONGEST_ESCAPE
        if is_cut and raw[position] == "\\" and raw[position + 1 : position + 2] in ("", "u"):
            break
        token = _TOKEN.match(raw, position)
        if token is None:  # a backslash at the end
            break
        texts.append(_unescaped(token[0]))
        position = token.end()
    return "".join(texts), position


def _unescaped(token: str) -> str:
    """Return the text of a token, which is the token itself if JSON does not have its escape."""
    if len(token) == 2 and token[0] == "\\":
        return _ESCAPES.get(token[1], token)
    return storable(json.loads(f'"{token}"')) if token[0] == "\\" else token
