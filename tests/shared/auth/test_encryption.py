import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from parley.auth.encryption import DecryptionFailed, TextCipher

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32


def cipher_with(key=KEY):
    return TextCipher(lambda: key)


def test_an_encrypted_text_decrypts_in_its_context():
    encrypted = cipher_with().encrypt("Bearer sécret", context="a")

    assert cipher_with().decrypt(encrypted, context="a") == "Bearer sécret"


def test_a_stored_text_is_a_version_a_nonce_of_twelve_bytes_and_the_ciphertext():
    stored = bytes([1]) + bytes(range(12)) + AESGCM(KEY).encrypt(bytes(range(12)), b"secret", b"a")

    assert cipher_with().decrypt(stored, context="a") == "secret"


def test_a_ciphertext_hides_the_text_and_differs_each_time():
    first, second = (cipher_with().encrypt("Bearer secret", context="a") for _ in range(2))

    assert b"secret" not in first
    assert first != second


@pytest.mark.parametrize(("key", "context"), [(OTHER_KEY, "a"), (KEY, "b")])
def test_another_key_or_context_cannot_decrypt(key, context):
    encrypted = cipher_with().encrypt("secret", context="a")

    with pytest.raises(DecryptionFailed):
        cipher_with(key).decrypt(encrypted, context=context)


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_a_modified_ciphertext_does_not_decrypt(at):
    encrypted = bytearray(cipher_with().encrypt("secret", context="a"))
    encrypted[at] ^= 1

    with pytest.raises(DecryptionFailed):
        cipher_with().decrypt(bytes(encrypted), context="a")


def test_the_key_is_loaded_once_on_first_use():
    loads = []
    cipher = TextCipher(lambda: loads.append(1) or KEY)
    assert loads == []
    cipher.decrypt(cipher.encrypt("secret", context="a"), context="a")

    assert loads == [1]
