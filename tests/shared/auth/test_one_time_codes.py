import pytest

from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.ids import new_id


def test_a_code_is_parsed_despite_surrounding_whitespace():
    code = OneTimeCode.new(new_id())

    assert OneTimeCode.parse(str(code)) == OneTimeCode.parse(f"  {code}\r\n") == code


def test_two_codes_of_one_owner_differ():
    owner = new_id()

    assert OneTimeCode.new(owner).hash != OneTimeCode.new(owner).hash


def test_a_code_has_one_spelling():
    code = str(OneTimeCode(new_id(), bytes(16)))

    with pytest.raises(InvalidCode, match="not canonical"):
        OneTimeCode.parse(code[:-1] + "B")


@pytest.mark.parametrize("text", ["", "code", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "+", "\u0661" * 43, "A" * 21 + " " + "A" * 21])
def test_a_malformed_code_is_invalid_input_at_the_code(text):
    with pytest.raises(InvalidCode) as refused:
        OneTimeCode.parse(text)

    assert (refused.value.status, refused.value.code, refused.value.errors[0]["loc"]) == (422, "invalid_code", ["body", "code"])


def test_a_printed_code_keeps_its_secret():
    code = OneTimeCode.new(new_id())

    assert repr(code.secret) not in repr(code)
    assert str(code) not in repr(code)
