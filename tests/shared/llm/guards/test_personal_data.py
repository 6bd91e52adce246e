import typing

import pytest

from parley.llm.guards.personal_data import PersonalDataFinder
from parley.llm.guards.spans import ReplacedText, replace_all
from parley.llm.model import PersonalDataKind
from tests.support.turns import replaced_pieces

KINDS = typing.get_args(PersonalDataKind.__value__)


@pytest.fixture(scope="module")
def finder():
    return PersonalDataFinder(KINDS)


def masked(finder, text):
    return replace_all(finder, text, lambda span, _text: f"<{span.kind}>")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "ada.lovelace+x@mail.example.co.uk"),
        ("email", "müller@example.de"),
        ("phone", "+49 30 1234567"),
        ("phone", "+1 (415) 555-2671"),
        ("phone", "0041 44 668 18 00"),
        ("phone", "030/1234567"),
        ("phone", "06 12 34 56 78"),
        ("phone", "(415) 555-2671"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "NL91ABNA0417164300"),
        ("iban", "gb29 nwbk 6016 1331 9268 19"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("card", "5555-5555-5555-4444"),
        ("card", "4222222222222"),
        ("card", "5018000000000001237"),
        ("ip_address", "192.168.10.254"),
        ("ip_address", "2001:db8::8a2e:370:7334"),
        ("national_id", "123-45-6789"),
        ("national_id", "AB 12 34 56 C"),
        ("national_id", "12345678Z"),
        ("national_id", "X1234567L"),
        ("national_id", "Y1234567X"),
        ("national_id", "Z1234567R"),
        ("national_id", "RSSMRA85T10A562S"),
        ("national_id", "2 55 08 14 168 025 38"),
        ("national_id", "1 85 05 2A 123 456 33"),
        ("national_id", "185052B12345660"),
    ],
)
def test_personal_data_is_found_in_a_sentence(finder, kind, text):
    assert masked(finder, f"Note: {text}, please. AND {text}.") == f"Note: <{kind}>, please. AND <{kind}>."


@pytest.mark.parametrize(
    "text",
    [
        "DE88 5704 1144 1532 1130 05",
        "4111 1111 1111 1112 is a number",
        "999.1.2.3",
        "version 1.2.3.4.5",
        "at 12:30:45 or ::",
        "std::vector<int>",
        "01.02.2026 and 2026-01-02, 01/02/2026",
        "000-12-3456",
        "12345678A",
        "1234567L",
        "X12345678Z",
        "2 55 08 14 168 025 39",
        "order 20261128, page 1234",
        "user@localhost and @handle",
        "π is 3.14159265358979",
        "UUID 123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_other_numbers_and_words_stay(finder, text):
    assert masked(finder, text) == text


@pytest.mark.parametrize(
    "iban",
    [
        "NO9386011117947",
        "BE68539007547034",
        "DK5000400440116243",
        "SI56263300012039086",
        "AT611904300234573201",
        "CH9300762011623852957",
        "DE89370400440532013000",
        "AE070331234567890123456",
        "ES9121000418450200051332",
        "PT50000201231234567890154",
        "TR330006100519786457841326",
        "FR1420041010050500013M02606",
        "PL61109010140000071219812874",
        "BR1800360305000010009795493C1",
        "KW81CBKU0000000000001234560101",
        "MT84MALT011000012345MTLCAST001S",
        "LC55HEMM000100010012001200023015",
        "RU0304452522540817810538091310419",
    ],
)
def test_the_registrys_example_of_every_length_of_an_iban_is_found(finder, iban):
    in_fours = " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))

    assert masked(finder, f"{iban} or {in_fours}.") == "<iban> or <iban>."


@pytest.mark.parametrize(
    "text", ["DE89 3704 0044 0532 0130", "DE89370400440532013000X, please", "DE89 3704 0044 0532 0130 01", "XX82 1234 1234 1234 1234"]
)
def test_a_number_of_another_length_country_or_sum_is_no_iban(text):
    assert masked(PersonalDataFinder(["iban"]), text) == text


def test_only_the_chosen_kinds_are_found():
    assert masked(PersonalDataFinder(["email"]), "a@example.org 4111 1111 1111 1111") == "<email> 4111 1111 1111 1111"


def test_words_in_capitals_behind_an_iban_stay(finder):
    assert masked(finder, "DE89 3704 0044 0532 0130 00 IS MINE") == "<iban> IS MINE"


@pytest.mark.parametrize("text", ["Card 4111 1111 1111 1111, mail ada@example.org. Bank GB29 NWBK 6016 1331 9268 19 or AB 12 34 56 C."])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_personal_data_that_is_cut_across_pieces_is_found(finder, text, size):
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    released = replaced_pieces(finder, lambda span, _text: f"<{span.kind}>", pieces)
    assert "".join(released) == "Card <card>, mail <email>. Bank <iban> or <national_id>."


@pytest.mark.parametrize("text", ["+49  30 1234567", "(415)  555-2671"])
def test_a_number_with_two_spaces_that_arrives_letter_by_letter_is_found(finder, text):
    assert "".join(replaced_pieces(finder, lambda span, _text: f"<{span.kind}>", f"Call {text}, please")) == "Call <phone>, please"


@pytest.mark.parametrize(
    ("text", "open_start"),
    [
        ("4111", 0),
        ("How are you", 8),
        ("How are you ", 12),
        ("call 030 12", 5),
        ("12  34", 0),
        ("AB 12 34", 0),
        ("A 12", 0),
        ("ABCD 12", 0),
        ("ABCDE 12", 6),
        ("abcd 12", 5),
        ("abc1 x", 0),
        ("a1b c", 0),
        ("12\n34", 3),
        ("12 abc 34", 7),
        ("y" * 300, 172),
        ("y" * 200 + " " + "1" * 127, 200),
        ("y" * 199 + " " + "1" * 128, 200),
        ("1 ", 0),
        ("", 0),
    ],
)
def test_digits_and_short_capitals_before_the_last_word_are_held_back_with_it(finder, text, open_start):
    assert finder.find(text, is_end=False).open_start == open_start


def test_an_address_at_the_start_of_the_text_is_found_behind_the_character_before_it(finder):
    (span,) = finder.find("a@example.org x", before=" ").spans

    assert (span.start, span.end) == (0, 13)
    assert not finder.find("a@example.org x", before="x").spans


def test_only_the_last_word_of_a_sentence_without_digits_is_held_back(finder):
    stream = ReplacedText(finder, lambda span, _text: "")

    assert [stream.feed("How are you today? so"), stream.feed(" it"), stream.rest()] == ["How are you today? ", "so ", "it"]
