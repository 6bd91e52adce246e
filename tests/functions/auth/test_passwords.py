import random
import re
import string
import sys
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from functions.auth import passwords as module
from functions.auth.errors import WeakPassword
from functions.auth.password_strength import collapse_repeats, is_guessable, personal_words, word_weights
from functions.auth.passwords import MAX_LENGTH, NO_PASSWORD, Passwords

EMAIL = "ada.lovelace@analytical-engines.example"
LEET = {"a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!|", "l": "1|7", "o": "0", "s": "$5", "t": "+7", "z": "2"}
LISTS = list(FREQUENCY_LISTS.values())
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_LENGTH)
cheap = Passwords(min_length=15, memory_kib=8, passes=1)


def refusal(password, email=None):
    """Return why the password is refused, or None."""
    try:
        cheap.check(password, email=email)
    except WeakPassword as refused:
        return refused.public_message
    return None


def leet(rng, word):
    return "".join(rng.choice(LEET[letter]) if letter in LEET and rng.random() < 0.6 else letter for letter in word)


def dressed_up(rng):
    """Return a repeated listed word, two listed words or three common words, decorated as people do."""
    repeated = [rng.choice(rng.choice(LISTS))] * rng.randint(2, 5)
    pair = [rng.choice(rng.choice(LISTS)) for _ in range(2)]
    words = rng.choice([repeated, pair, [rng.choice(rng.choice(LISTS)[:3000]) for _ in range(3)]])
    words = [leet(rng, word) for word in words] if rng.random() < 0.5 else words
    words = [rng.choice([str.upper, str.title, str.lower])(word) for word in words]
    return rng.choice(["", "", " ", "-", "_", ".", "+"]).join(words) + "".join(rng.choices("0123456789!", k=rng.randint(0, 4)))


def test_decorated_listed_words_are_refused():
    rng = random.Random(4)
    long_enough = (password for password in iter(lambda: dressed_up(rng), None) if 15 <= len(password) <= MAX_LENGTH)
    chosen = [next(long_enough) for _ in range(5_000)]

    assert [password for password in chosen if refusal(password) is None] == []


@pytest.mark.parametrize(
    "password",
    [
        "abcabcabcabcabc", "aaaaaaaaaaaaaaa", "passwordpassword", "qwertyuiopqwertyuiop", "P@ssw0rdP@ssw0rd!!", "kD9#" * 5 + "42!!",
        "1234567890123456", "qwertyuiopasdfgh", "abcdefghijklmnop", "zyxwvutsrqponmlk", "абвгдежзийклмноп", "!@#$%^&*()_+!@#$",
        "password19841225", "liverpool20052006", "p-a-s-s-w-o-r-d-1-2", "1qaz2wsx3edc4rfv", "pássword1password2password3",
        "ｐａｓｓｗｏｒｄ ｐａｓｓｗｏｒｄ", "horse---------------",
    ],
)  # fmt: skip
def test_patterns_are_refused(password):
    assert refusal(password)


@pytest.mark.parametrize("unit", ["a", "ab", "abc", "x1y2", "kD9#z", "密码", "😀🐎"])
@pytest.mark.parametrize("length", [15, 72, 73, 200, 256])
def test_a_repeated_short_unit_is_refused_at_any_length(unit, length):
    assert "repeats" in refusal((unit * length)[:length])


@pytest.mark.parametrize(
    "password",
    [
        "a long enough pass phrase", "correct horse battery staple", "correct-horse-battery-staple", "an-ordinary-long-passphrase",
        "Sufficiently-Long-Passw0rd-42", "my dog eats blue carrots daily", "correct horse battery staple 9", "test-password-for-checks-1",
        "a-very-long-test-password", "Grüße aus Köln am Rhein", "我喜欢在公园里读书和散步因为天气好", "🐎🔋📎✅🌍🎈🍕🚲🎻🧲🪁🦊🍋🌵🧊",
    ],
)  # fmt: skip
def test_passphrases_are_accepted(password):
    assert refusal(password, EMAIL) is None


def test_four_words_are_accepted():
    rng, words = random.Random(5), FREQUENCY_LISTS["english_wikipedia"][2000:]
    phrases = [" ".join(rng.sample(words, 4)) for _ in range(500)]

    assert [phrase for phrase in phrases if len(phrase) >= 15 and refusal(phrase, EMAIL)] == []


@pytest.fixture(scope="module")
def words():
    """Return a function that chooses words of two lists: `words(common=2, listed=1)`."""
    rng, chosen = random.Random(9), {2: [], 3: []}
    for word, weight in word_weights().items():
        if word.isalpha() and 6 <= len(word) <= 9:
            chosen[weight].append(word)
    return lambda *, common=0, listed=0: " ".join([*rng.sample(chosen[2], common), *rng.sample(chosen[3], listed)])


def is_mostly_guessable(make):
    """Whether most of the passwords that `make` returns are guessable: words may be covered by other words."""
    return sum(is_guessable(make(), personal=personal_words("zqx@example.com")) for _ in range(9)) > 4


@pytest.mark.parametrize(
    ("words_and_more", "is_refused"),
    [
        (({"common": 3}, ""), True),
        (({"listed": 2}, ""), True),
        (({"common": 2, "listed": 1}, ""), False),
        (({"listed": 2}, "8391"), True),
        (({"listed": 2}, "83914"), False),
        (({"common": 2}, "абвг"), True),
        (({"common": 2}, "абв"), False),
        (({"listed": 2}, " zqx"), True),
        (({"common": 2}, "19008391"), True),
        (({"common": 2}, "21008391"), False),
    ],
)
def test_the_weight_of_a_password_is_bounded(words, words_and_more, is_refused):
    chosen, more = words_and_more

    assert is_mostly_guessable(lambda: words(**chosen) + more) is is_refused


@pytest.mark.parametrize(
    ("password", "is_refused"),
    [
        ("photography", True),
        ("photographyж", False),
        ("photography-i-cooking", True),
        ("asdfootball-kirby", True),
        ("970hunter1784", True),
        ("abcdefgh", True),
        ("acegikmo", False),
    ],
    ids=[
        "a word",
        "a word and a letter",
        "a word of one letter",
        "a walk into a word",
        "loose digits around",
        "neighbours",
        "every other letter",
    ],
)
def test_every_character_is_covered_by_a_word_or_a_run(password, is_refused):
    assert is_guessable(password, personal=frozenset()) is is_refused


def test_symbols_are_separators_if_there_are_few_kinds_of_them():
    assert refusal("p-a_s.s wordpass")
    assert refusal("p-a_s.s w,ordpass") is None


def test_a_repeated_unit_is_reduced_to_one():
    assert [collapse_repeats(text) for text in ("aaaaaaaa", "abababab", "abcdefgh")] == ["a", "ab", "abcdefgh"]


def test_a_unit_that_is_repeated_once_with_a_short_tail_counts_once():
    unit = "kD9#mQ7z"

    assert "repeats" in refusal(unit * 2)
    assert "repeats" in refusal(f"{unit * 2}42!!")
    assert refusal(f"{unit * 2}42!!x") is None
    assert refusal("kD9#mQ7zXwkD9#m") is None


def test_random_characters_are_accepted():
    rng = random.Random(6)
    tokens = ["".join(rng.choices(string.ascii_letters + string.digits + "-_", k=15)) for _ in range(200)]

    assert [token for token in tokens if refusal(token, EMAIL)] == []


@pytest.mark.parametrize("password", [EMAIL, "Lovelace Engines Ada", "ada-analytical-zebra-helicopter"])
def test_parts_of_the_own_address_add_no_strength(password):
    assert refusal(password, EMAIL)


def test_parts_of_another_address_add_strength():
    assert refusal("ada-analytical-zebra-helicopter", "grace@example.com") is None


def test_the_products_name_adds_no_strength():
    assert refusal("Parley-zebra-helicopter-2026")
    assert refusal("Barley-zebra-helicopter-2026") is None


@pytest.mark.parametrize("email", ["a@b.cd", "j.o@x1.io", "@", None])
def test_initials_in_an_address_are_ignored(email):
    assert min(map(len, personal_words(email))) >= 3


def test_the_refusal_of_common_words_names_a_remedy():
    assert refusal("password-letmein-1") == ("The password consists of a few common words or patterns. Add more unusual words.")


def test_length_is_counted_in_characters_after_nfc():
    accented = unicodedata.normalize("NFD", "éxçwñkåzîqûhàvì")

    assert refusal(accented) is None
    assert "at least 15" in refusal(accented[:-2])


def test_more_than_256_characters_are_refused():
    words = " ".join(FREQUENCY_LISTS["english_wikipedia"][5000:5100])

    assert refusal(words[:256]) is None
    assert "256" in refusal(words[:257])


@settings(max_examples=1000, deadline=None, database=None)
@given(TEXT)
def test_any_characters_can_be_judged(password):
    reason = refusal(password, EMAIL)
    assert (len(unicodedata.normalize("NFC", password)) >= 15) or reason


@settings(max_examples=1000, deadline=None, database=None)
@given(TEXT, st.integers(72, 255), st.characters(exclude_categories=["Cs"]))
def test_every_character_is_hashed(tail, place, other):
    password = ("wry gnu elk vat " * 16)[:place] + tail
    password = password[:MAX_LENGTH].ljust(place + 1, "x")
    changed = password[:place] + other + password[place + 1 :]
    assume(unicodedata.normalize("NFC", password) != unicodedata.normalize("NFC", changed))
    stored_hash = cheap.hash(password)

    assert cheap.is_right(password, stored_hash)
    assert not cheap.is_right(changed, stored_hash)


@settings(max_examples=300, deadline=None, database=None)
@given(TEXT)
def test_composed_and_decomposed_characters_are_the_same_password(password):
    composed = unicodedata.normalize("NFC", password)

    assert cheap.is_right(unicodedata.normalize("NFD", password), cheap.hash(composed))


def test_judging_256_characters_takes_bounded_time():
    rng, steps = random.Random(8), []
    hardest = ["".join(rng.choices(alphabet, k=256)) for alphabet in ("il1t7!", "1234567890", "!-_ ", "ab1") for _ in range(3)]
    sys.setprofile(lambda *_: steps.append(1))
    try:
        for password in hardest:
            is_guessable(password, personal=personal_words(EMAIL))
    finally:
        sys.setprofile(None)

    assert len(steps) / len(hardest) < 150_000


def test_the_default_hash_is_argon2id_with_owasps_parameters():
    parameters = re.match(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$", Passwords(min_length=15).hash("any"))

    assert tuple(map(int, parameters.groups())) == (19 * 1024, 2, 1)


def test_the_parameters_are_configurable():
    assert Passwords(min_length=15, memory_kib=64, passes=3, lanes=2).hash("any").startswith("$argon2id$v=19$m=64,t=3,p=2$")


@pytest.mark.parametrize("other", [{"memory_kib": 16}, {"passes": 2}, {"lanes": 2, "memory_kib": 16}])
def test_a_hash_with_other_parameters_needs_a_rehash(other):
    stored_hash = cheap.hash("any")

    assert not cheap.needs_rehash(stored_hash)
    assert Passwords(**{"min_length": 15, "memory_kib": 8, "passes": 1} | other).needs_rehash(stored_hash)


@pytest.mark.parametrize("password_hash", [None, NO_PASSWORD])
def test_a_password_of_the_hash_that_replaces_a_missing_one_opens_nothing(monkeypatch, password_hash):
    monkeypatch.setattr(cheap, "_dummy_hash", cheap.hash("any"))

    assert not cheap.is_right("any", password_hash)


@pytest.mark.parametrize("parameters", [{}, {"memory_kib": 64, "passes": 3, "lanes": 2}])
def test_an_unknown_address_costs_a_hash_with_the_same_parameters(monkeypatch, parameters):
    passwords, verified = Passwords(min_length=15, **parameters), []
    real = module.PasswordHasher.verify
    monkeypatch.setattr(
        module.PasswordHasher, "verify", lambda self, stored_hash, given: verified.append(stored_hash) or real(self, stored_hash, given)
    )

    assert not passwords.is_right("any", None)
    assert not passwords.needs_rehash(verified[0])
    assert verified[0].split("$")[:4] == passwords.hash("any").split("$")[:4]
