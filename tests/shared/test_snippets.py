"""Snippets: the right part, marked, and harmless in a page."""

import re

from parley.snippets import SNIPPET_CHARACTERS, excerpt, snippet


def test_the_words_of_the_query_are_marked_whatever_their_ending():
    assert snippet("We went walking.", "walks") == "We went <mark>walking</mark>."


def test_it_is_the_part_where_most_of_the_words_are():
    text = "sea. " + "filler " * 100 + "a storm came over the sea at night. " + "filler " * 100
    shown = snippet(text, "storm at sea")

    assert "<mark>storm</mark> came over the <mark>sea</mark>" in shown
    assert (shown[0], shown[-1]) == ("…", "…")
    assert len(re.sub("<[^>]*>", "", shown)) < SNIPPET_CHARACTERS + 30


def test_an_excerpt_is_a_piece_of_the_text_as_it_is():
    text = "sea. " + "filler " * 100 + "a <storm> & more came over the sea at night. " + "filler " * 100

    assert "a <storm> & more came over the sea" in excerpt(text, "storm at sea")
    assert excerpt(text, "storm at sea") in text


def test_markup_in_the_text_is_escaped():
    shown = snippet("<script>alert(1)</script> & more", "alert")

    assert shown == "&lt;script&gt;<mark>alert</mark>(1)&lt;/script&gt; &amp; more"


def test_parts_of_a_compound_word_are_marked():
    assert "<mark>executor</mark>" in snippet("the diff executor runs", "DiffExecutor")


def test_without_a_word_in_common_it_is_the_beginning():
    assert snippet("word " * 100, "nothing").startswith("word word")
