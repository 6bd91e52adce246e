import pytest

from parley.auth.encryption import DecryptionFailed, TextCipher

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32


def cipher(key=KEY):
    return TextCipher(lambda: key)


def test_what_is_sealed_opens_in_its_context():
    encrypted = cipher().encrypt("Bearer sécret", context="a")

    assert cipher().decrypt(encrypted, context="a") == "Bearer sécret"


def test_what_is_sealed_does_not_show_and_never_looks_the_same():
    first, second = (cipher().encrypt("Bearer secret", context="a") for _ in range(2))

    assert b"secret" not in first
    assert first != second


@pytest.mark.parametrize(("key", "context"), [(OTHER_KEY, "a"), (KEY, "b")])
def test_another_key_or_place_opens_nothing(key, context):
    encrypted = cipher().encrypt("secret", context="a")

    with pytest.raises(DecryptionFailed):
        cipher(key).decrypt(encrypted, context=context)


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_what_was_tampered_with_does_not_open(at):
    encrypted = bytearray(cipher().encrypt("secret", context="a"))
    encrypted[at] ^= 1

    with pytest.raises(DecryptionFailed):
        cipher().decrypt(bytes(encrypted), context="a")


def test_the_key_is_asked_for_when_it_is_needed_and_once():
    asked = []
    cipher = TextCipher(lambda: asked.append(1) or KEY)
    assert asked == []
    cipher.decrypt(cipher.encrypt("secret", context="a"), context="a")

    assert asked == [1]
