"""The source numbers that a text cites."""

import time

import pytest

from parley.llm.citations import cited_numbers

CITING = {
    "one": ("Thirty days [3].", {3}),
    "two-beside-each-other": ("So it is [1][2].", {1, 2}),
    "two-in-one": ("So it is [1, 2] and [4,5].", {1, 2, 4, 5}),
    "behind-a-word": ("Thirty days[12].", {12}),
    "the-same-twice": ("[1] and [1]", {1}),
    "behind-a-block": ("```\nx[2]\n```\nSee [1].", {1}),
    "behind-a-span": ("Call `f[2]` as in [1].", {1}),
    "between-two-spans": ("Call `f` [1] `g`.", {1}),
    "before-a-colon": ("As said in [1]: thirty.", {1}),
    "before-brackets": ("Thirty [1] (a year).", {1}),
    "a-lone-backtick": ("It is 5` wide [1].", {1}),
}
OTHERS = {
    "a-block": "```python\nx = y[1]\n```",
    "a-block-of-tildes": "~~~\n[1]\n~~~",
    "an-open-block": "Look:\n\n```\n[1]\n\nand [2]",
    "a-block-with-a-shorter-fence-in-it": "````\n```\n[1]\n```\n````",
    "a-block-in-a-list": "- one\n  - ```\n    [1]\n    ```",
    "a-block-in-a-quotation": "> ```\n> [1]\n> ```",
    "a-span": "Take `rows[1]`.",
    "a-span-of-two": "Take ``rows[1] ` x``.",
    "a-link": "[1](https://evil.example)",
    "a-links-address": "[1]: https://evil.example",
    "escaped": r"\[1\]",
    "a-footnote": "[^1]",
    "no-number": "[a] [] [1a] [-1] [0] [01] [1.5] [1-3] [12345]",
    "other-brackets": "(1) {1} 【1】 [１]",
    "over-a-span": "[`x`1]",
    "between-two-spans": "`a` `[1]` `b`",
    "a-span-with-an-unclosed-row-before-it": "``` `[1]` ",
}


@pytest.mark.parametrize("text", CITING)
def test_citations_are_found(text):
    written, numbers = CITING[text]

    assert cited_numbers(written) == numbers


@pytest.mark.parametrize("text", OTHERS)
def test_text_that_only_looks_like_a_citation_is_not_one(text):
    assert cited_numbers(OTHERS[text]) == set()


@pytest.mark.parametrize("piece", ["`" * 3 + "\n[1]\n", "[", "[1", "[1,", "[1 ", "`x``y", "> ", "[1]:", "- " * 9 + "\n"])
def test_no_text_takes_long_to_search(piece):
    began = time.process_time()
    cited_numbers(piece * (300_000 // len(piece)))

    assert time.process_time() - began < 5
