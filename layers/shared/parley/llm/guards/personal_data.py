"""Personal data in a text, found by patterns and checksums. Names and addresses have no pattern and are not found."""

import ipaddress
import re
from collections.abc import Callable, Collection

from parley.llm.guards.spans import Found, TextSpan, distinct_spans, replaced
from parley.llm.model import PersonalDataKind

# The longest text of any kind: an e-mail address of 64 + 1 + 63 characters.
MAX_CHARACTERS = 128

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?=[\w.-]{4,63})(?:[\w-]{1,60}\.){1,6}[A-Za-z]{2,24}(?![\w-])")
# With the country's code; or a national number with a leading zero; or ten digits in the American way.
_PHONES = (
    re.compile(r"(?<![\w+])(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){6,13}(?!\w)"),
    re.compile(r"(?<![\w.,/-])\(?0\d{2,4}\)?[ /-]?\d{3,4}[ -]?\d{3,5}(?![\w-])"),
    re.compile(r"(?<![\w.,/-])0\d(?:[ .]\d\d){4}(?![\w-])"),
    re.compile(r"(?<![\w.,/-])\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?![\w-])"),
)
# A lookahead, which consumes nothing: another IBAN may follow a few letters behind the end of the first.
_IBAN = re.compile(r"(?<!\w)(?=([A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))", re.IGNORECASE | re.ASCII)
_CARD = re.compile(r"(?<![\w.,-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_NATIONAL_IDS = (
    re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),  # United States, Social Security
    re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"),  # United Kingdom, National Insurance
    re.compile(r"(?<!\w)[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)"),  # Italy, codice fiscale
)
_DNI = re.compile(r"(?<!\w)([XYZ]?)(\d{7,8})-?([A-Z])(?!\w)")  # Spain
_NIR = re.compile(r"(?<!\w)[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?!\w)")  # France

# The length of each country's IBAN, from SWIFT's registry of 2025.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
        26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE",
        31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


class PersonalDataFinder:
    """Finds personal data of the given kinds, in time proportional to the text."""

    def __init__(self, kinds: Collection[PersonalDataKind]) -> None:
        # Numbers with checksums first: a card's number would otherwise be a telephone's.
        self._find = [(kind, find) for kind, find in _FINDERS.items() if kind in kinds]

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found:
        """Return the personal data in `text`. Of a text that goes on, the last word and digits before it are held back."""
        context = before + text
        spans = list[TextSpan]()
        for kind, find in self._find:
            if found := distinct_spans([TextSpan(start, end, kind) for start, end in find(context)]):
                context = replaced(context, found, lambda _span, original: "\0" * len(original))
                spans += [TextSpan(span.start - len(before), span.end - len(before), kind) for span in found if span.start >= len(before)]
        return Found(spans, len(text) if is_end else _open_start(text))


def _open_start(text: str) -> int:
    """Return where the end of `text` begins that may be the beginning of personal data.

    That is the last run of characters without a space, and the runs before it that contain digits or at most four capitals. Several
    spaces between two runs do not separate them: they may be within a telephone number.
    """
    floor = max(0, len(text) - MAX_CHARACTERS)
    start = _run_start(text, len(text), floor)
    while start > floor and text[start - 1] == " ":
        earlier = _run_start(text, start - 1, floor)
        run = text[earlier : start - 1]
        if run and not any(map(str.isdigit, run)) and not (len(run) <= 4 and run.isupper()):
            break
        start = earlier
    return start


def _run_start(text: str, end: int, floor: int) -> int:
    while end > floor and not text[end - 1].isspace():
        end -= 1
    return end


def _matches(*patterns: re.Pattern[str], is_valid: Callable[[str], bool] = lambda _text: True) -> Callable[[str], list[tuple[int, int]]]:
    def find(text: str) -> list[tuple[int, int]]:
        return [match.span() for pattern in patterns for match in pattern.finditer(text) if is_valid(match[0])]

    return find


def _find_ibans(text: str) -> list[tuple[int, int]]:
    """Return the valid IBANs. Their country says where they end, since a word in capitals may follow."""
    spans = []
    for match in _IBAN.finditer(text):
        length, end, count = _IBAN_LENGTHS.get(match[1][:2].upper(), 0), match.start(), 0
        while count < length and end < match.end(1):
            count += text[end] != " "
            end += 1
        if count == length and length and _is_iban(text[match.start() : end]) and not text[end : end + 1].isalnum():
            spans.append((match.start(), end))
    return spans


def _is_iban(text: str) -> bool:
    """Check ISO 13616's remainder of 1 modulo 97."""
    compact = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """Check Luhn's sum (ISO/IEC 7812)."""
    digits = [int(character) for character in text if character.isdecimal()]
    doubled = [digit * 2 - 9 * (digit > 4) if index % 2 else digit for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_ip_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _is_dni(text: str) -> bool:
    match = _DNI.fullmatch(text)
    if match is None or len(match[1]) + len(match[2]) != 8:
        return False
    number = "XYZ".index(match[1]) * 10**7 + int(match[2])  # without a letter, the index is 0
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == match[3]


def _is_nir(text: str) -> bool:
    compact = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return 97 - int(compact[:13]) % 97 == int(compact[13:])


def _find_national_ids(text: str) -> list[tuple[int, int]]:
    return [*_matches(*_NATIONAL_IDS)(text), *_matches(_DNI, is_valid=_is_dni)(text), *_matches(_NIR, is_valid=_is_nir)(text)]


_FINDERS: dict[PersonalDataKind, Callable[[str], list[tuple[int, int]]]] = {
    "iban": _find_ibans,
    "card": _matches(_CARD, is_valid=_is_card),
    "national_id": _find_national_ids,
    "ip_address": _matches(_IPV4, _IPV6, is_valid=_is_ip_address),
    "email": _matches(_EMAIL),
    "phone": _matches(*_PHONES),
}
