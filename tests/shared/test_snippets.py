"""Snippets: the relevant part, with marked words and escaped markup."""

import re

from parley.snippets import SNIPPET_CHARACTERS, excerpt, snippet


def test_the_querys_words_are_marked_with_any_ending():
    assert snippet("We went walking.", "walks") == "We went <mark>walking</mark>."


def test_a_snippet_is_the_part_with_most_of_the_words():
    text = "sea. " + "filler " * 100 + "a storm came over the sea at night. " + "filler " * 100
    shown = snippet(text, "storm at sea")

    assert "<mark>storm</mark> came over the <mark>sea</mark>" in shown
    assert (shown[0], shown[-1]) == ("…", "…")
    assert len(re.sub("<[^>]*>", "", shown)) < SNIPPET_CHARACTERS + 30


def test_an_excerpt_is_an_exact_substring():
    text = "sea. " + "filler " * 100 + "a <storm> & more came over the sea at night. " + "filler " * 100

    assert "a <storm> & more came over the sea" in excerpt(text, "storm at sea")
    assert excerpt(text, "storm at sea") in text


def test_markup_in_the_text_is_escaped():
    shown = snippet("<script>alert(1)</script> & more", "alert")

    assert shown == "&lt;script&gt;<mark>alert</mark>(1)&lt;/script&gt; &amp; more"


def test_parts_of_a_compound_word_are_marked():
    assert "<mark>executor</mark>" in snippet("the diff executor runs", "DiffExecutor")


def test_without_a_common_word_a_snippet_is_the_beginning():
    assert snippet("word " * 100, "nothing").startswith("word word")
