import pytest

from parley.auth.sealing import Seal, SealBroken

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32


def seal_of(key=KEY):
    return Seal(lambda: key)


def test_what_is_sealed_opens_in_its_place():
    sealed = seal_of().close("Bearer sécret", place="a")

    assert seal_of().open(sealed, place="a") == "Bearer sécret"


def test_what_is_sealed_does_not_show_and_never_looks_the_same():
    first, second = (seal_of().close("Bearer secret", place="a") for _ in range(2))

    assert b"secret" not in first
    assert first != second


@pytest.mark.parametrize(("key", "place"), [(OTHER_KEY, "a"), (KEY, "b")])
def test_another_key_or_place_opens_nothing(key, place):
    sealed = seal_of().close("secret", place="a")

    with pytest.raises(SealBroken):
        seal_of(key).open(sealed, place=place)


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_what_was_tampered_with_does_not_open(at):
    sealed = bytearray(seal_of().close("secret", place="a"))
    sealed[at] ^= 1

    with pytest.raises(SealBroken):
        seal_of().open(bytes(sealed), place="a")


def test_the_key_is_asked_for_when_it_is_needed_and_once():
    asked = []
    seal = Seal(lambda: asked.append(1) or KEY)
    assert asked == []
    seal.open(seal.close("secret", place="a"), place="a")

    assert asked == [1]
