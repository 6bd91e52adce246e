"""The sentence model: its vectors, the texts that it cuts, and the agreement with the model in 32-bit floats."""

import json
import struct
from pathlib import Path

import pytest

from functions.embedder.sentence_model import MAX_TOKENS, SentenceModel

# Texts, and their vectors by the original weights in 32-bit floats.
REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text())


@pytest.fixture(scope="module")
def model():
    return SentenceModel()


def numbers(model, text):
    return struct.unpack("<384f", model.embed(text)[0])


def similarity(model, one, other):
    return sum(a * b for a, b in zip(numbers(model, one), numbers(model, other), strict=True))


def test_a_question_is_closest_to_the_text_that_answers_it_in_other_words(model):
    texts = ["I am allergic to nuts.", "My sister lives in Oslo.", "The meeting was moved to Friday."]

    best = max(texts, key=lambda text: similarity(model, "What should I avoid eating?", text))

    assert best == texts[0]


@pytest.mark.parametrize("text", REFERENCE)
def test_rounding_hardly_changes_a_vector(model, text):
    pairs = zip(numbers(model, text), REFERENCE[text], strict=True)

    assert sum(a * b for a, b in pairs) > 0.999


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "😀" * 50, "\ud83d alone", "Ich gehe nach Hause.", "我住在奥斯陆", "x" * 1_000_000, "a b " * 250_000]
)
def test_any_text_has_a_vector_of_length_one(model, text):
    assert sum(number**2 for number in numbers(model, text)) == pytest.approx(1, abs=1e-5)


def test_a_long_text_is_cut_after_the_tokens_that_the_model_reads(model):
    words = " ".join(f"word{number}" for number in range(MAX_TOKENS))

    assert model.embed(words) == model.embed(f"{words} and more")
    assert model.embed(words)[1] == MAX_TOKENS


def test_a_text_has_the_same_vector_whatever_was_embedded_before(model):
    first = model.embed("Paris in May")
    model.embed("a much longer text " * 40)

    assert model.embed("Paris in May") == first
