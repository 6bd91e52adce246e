"""Sets of texts and questions for measuring retrieval."""

import pytest

from bench.retrieval.quality import explanations

SUMMARY = "Return the sum of all rows that count"
EXPLANATION = "A row counts if its state is open. " * 6


@pytest.mark.parametrize(
    ("documentation", "found"),
    [
        (f"{SUMMARY}\n    here.\n\n    {EXPLANATION}\n", [(f"{SUMMARY} here.", EXPLANATION.strip())]),
        (SUMMARY, []),
        (f"Return it.\n\n    {EXPLANATION}", []),
        (f"{SUMMARY}.\n\n    Rows count.", []),
        (f"{SUMMARY}.\n\n    {EXPLANATION}\n\n    >>> total()", []),
    ],
    ids=["explained", "one paragraph", "short query", "short explanation", "example of code"],
)
def test_an_explanation_is_sought_by_the_first_paragraph_of_its_docstring(tmp_path, documentation, found):
    path = tmp_path / "module.py"
    path.write_text(f'def total(rows):\n    """{documentation}"""\n    return sum(rows)\n')

    assert list(explanations(path)) == found
