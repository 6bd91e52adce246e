import pytest

from parley.auth.encryption import DecryptionFailed, TextCipher

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32


def seal_of(key=KEY):
    return TextCipher(lambda: key)


def test_what_is_sealed_opens_in_its_place():
    encrypted = seal_of().encrypt("Bearer sécret", place="a")

    assert seal_of().decrypt(encrypted, place="a") == "Bearer sécret"


def test_what_is_sealed_does_not_show_and_never_looks_the_same():
    first, second = (seal_of().encrypt("Bearer secret", place="a") for _ in range(2))

    assert b"secret" not in first
    assert first != second


@pytest.mark.parametrize(("key", "place"), [(OTHER_KEY, "a"), (KEY, "b")])
def test_another_key_or_place_opens_nothing(key, place):
    encrypted = seal_of().encrypt("secret", place="a")

    with pytest.raises(DecryptionFailed):
        seal_of(key).decrypt(encrypted, place=place)


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_what_was_tampered_with_does_not_open(at):
    encrypted = bytearray(seal_of().encrypt("secret", place="a"))
    encrypted[at] ^= 1

    with pytest.raises(DecryptionFailed):
        seal_of().decrypt(bytes(encrypted), place="a")


def test_the_key_is_asked_for_when_it_is_needed_and_once():
    asked = []
    cipher = TextCipher(lambda: asked.append(1) or KEY)
    assert asked == []
    cipher.decrypt(cipher.encrypt("secret", place="a"), place="a")

    assert asked == [1]
